// Command ratios measures the programs of package bench, and prints as Markdown what a request costs each of them and
// how the overhead of this library compares with that of its rivals. From the root of the repository:
//
//	go run ./bench/ratios
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"runtime"
	"testing" //nolint:depguard // it measures, as in a test
	"time"

	"github.com/hostbond/hostbond/bench"
)

func main() {
	rounds := flag.Int("rounds", 51, "how often each program is measured")
	length := flag.Duration("benchtime", 40*time.Millisecond, "how long it is measured each time")
	flag.Parse()
	testing.Init() // later than Parse, so that its flags are not ours
	err := flag.Set("test.benchtime", length.String())
	if err == nil {
		err = run(context.Background(), os.Stdout, *rounds)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out io.Writer, rounds int) error {
	traffic, err := bench.NewTraffic(ctx)
	if err != nil {
		return err
	}
	defer traffic.App.Close(ctx)

	fmt.Fprint(out, heading)
	for _, framework := range []func(*bench.Traffic) (bench.Comparison, error){
		bench.Gin, bench.Echo, bench.Fiber, bench.NetHTTP,
	} {
		comparison, err := framework(traffic)
		if err != nil {
			return err
		}
		if err := comparison.Verify(); err != nil {
			return err
		}
		costs, err := measure(comparison, rounds)
		if err != nil {
			return err
		}
		report(out, comparison, costs)
	}
	fmt.Fprintf(out, "\n%s, %s/%s, %d CPUs, medians of %d rounds\n",
		runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), rounds)
	return nil
}

// measure returns the cost of each program. A round measures all of them, so that what else the machine does hits them
// alike.
func measure(c bench.Comparison, rounds int) ([]cost, error) {
	samples := make([][]cost, len(c.Programs))
	for range rounds {
		for n, program := range c.Programs {
			result := testing.Benchmark(program.Benchmark)
			if result.N == 0 {
				return nil, fmt.Errorf("bench: %s, %s: a genuine request was refused", c.Framework, program.Name)
			}
			samples[n] = append(samples[n], costOf(result))
		}
	}
	medians := make([]cost, len(c.Programs))
	for n := range medians {
		medians[n] = median(samples[n])
	}
	return medians, nil
}
