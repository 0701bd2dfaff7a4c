package main

import (
	"os"

	"github.com/hostbond/hostbond/bench"
)

// The overhead is what a program costs beyond the bare handler. The ratio is below 1 where the rival's is the larger.
func Example_report() {
	report(os.Stdout, bench.Comparison{
		Framework: "Gin",
		Programs:  []bench.Program{{Name: "bare"}, {Name: "hostbond"}, {Name: "rival"}},
	}, []cost{{100, 8, 1}, {700, 56, 4}, {1300, 104, 13}})

	// Output:
	// | Gin | bare | 100 | 8 | 1 | | | | | | |
	// | Gin | hostbond | 700 | 56 | 4 | 600 | 48 | 3 | | | |
	// | Gin | rival | 1300 | 104 | 13 | 1200 | 96 | 12 | 0.50 | 0.50 | 0.25 |
}

// An outlier, as when something else has the machine, does not count.
func Example_median() {
	m := median([]cost{{300, 10, 2}, {9000, 12, 2}, {200, 14, 2}, {400, 10, 2}})
	os.Stdout.WriteString(m.cells("%.0f"))

	// Output:
	// 350 | 11 | 2 |
}
