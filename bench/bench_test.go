package bench_test

import (
	"testing"

	"github.com/hostbond/hostbond/bench"
)

func BenchmarkGin(b *testing.B)     { compare(b, bench.Gin) }
func BenchmarkEcho(b *testing.B)    { compare(b, bench.Echo) }
func BenchmarkFiber(b *testing.B)   { compare(b, bench.Fiber) }
func BenchmarkNetHTTP(b *testing.B) { compare(b, bench.NetHTTP) }

func compare(b *testing.B, framework func(*bench.Traffic) (bench.Comparison, error)) {
	traffic, err := bench.NewTraffic(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	defer traffic.App.Close(b.Context())
	comparison, err := framework(traffic)
	if err != nil {
		b.Fatal(err)
	}
	if err := comparison.Verify(); err != nil {
		b.Fatal(err)
	}
	for _, program := range comparison.Programs {
		b.Run(program.Name, program.Benchmark)
	}
}
