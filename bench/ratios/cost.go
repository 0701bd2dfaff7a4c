package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"testing" //nolint:depguard // it measures, as in a test

	"github.com/hostbond/hostbond/bench"
)

// cost is what one request costs: nanoseconds, octets, allocations.
type cost [3]float64

func costOf(r testing.BenchmarkResult) (c cost) {
	for unit, total := range []float64{float64(r.T.Nanoseconds()), float64(r.MemBytes), float64(r.MemAllocs)} {
		c[unit] = total / float64(r.N)
	}
	return c
}

// median returns the median of each unit.
func median(costs []cost) cost {
	return each(func(unit int) float64 {
		var values []float64
		for _, c := range costs {
			values = append(values, c[unit])
		}
		slices.Sort(values)
		return (values[(len(values)-1)/2] + values[len(values)/2]) / 2
	})
}

func (c cost) minus(d cost) cost { return each(func(unit int) float64 { return c[unit] - d[unit] }) }
func (c cost) over(d cost) cost  { return each(func(unit int) float64 { return c[unit] / d[unit] }) }

func each(value func(unit int) float64) (c cost) {
	for unit := range c {
		c[unit] = value(unit)
	}
	return c
}

const (
	heading = "| framework | program | ns/op | B/op | allocs/op | overhead: ns | B | allocs " +
		"| hostbond / rival: ns | B | allocs |\n" +
		"| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n"
	noCells = " | | |"
)

// report writes a row for each program: what it costs, what of that is overhead over the bare handler, and how the
// overhead of hostbond compares with that of a rival.
func report(out io.Writer, c bench.Comparison, costs []cost) {
	for n, program := range c.Programs {
		overhead := costs[n].minus(costs[0])
		share, ratio := noCells, noCells
		if n > 0 {
			share = overhead.cells("%.0f")
		}
		if n > 1 {
			ratio = costs[1].minus(costs[0]).over(overhead).cells("%.2f")
		}
		fmt.Fprintf(out, "| %s | %s |%s%s%s\n", c.Framework, program.Name, costs[n].cells("%.0f"), share, ratio)
	}
}

func (c cost) cells(format string) string {
	return fmt.Sprintf(strings.Repeat(" "+format+" |", len(c)), c[0], c[1], c[2])
}
