package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/gin-gonic/gin"

	"github.com/hostbond/hostbond/core/fakehost"
)

func TestMain(m *testing.M) {
	gin.SetMode(gin.ReleaseMode)
	os.Exit(m.Run())
}

func TestTourGoesAsItShouldAndLeavesNothingBehind(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	var out strings.Builder
	if err := run(t.Context(), &out, story); err != nil {
		t.Fatalf("%v\n%s", err, &out)
	}
	// In each line: number, answer, the secret (A, B, … in the order of their appearance), usable secrets, reason.
	want := []string{
		"1 204 A 1",
		"2 200 A 1",
		"3 204 B 2",
		"4 200 A 2",
		"5 200 B 2",
		"6 lost B 3",
		"7 200 B 3",
		"8 401 B 3 [token_missing]",
		"9 401 B 3 [body_changed]",
		"10 200 B 3",
		"11 200 B 2",
		"12 401 A 2 [retired]",
		"13 204 B 0",
		"14 401 B 0 [not_installed]",
	}
	if got := summary(t, out.String()); strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s\nin\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"), &out)
	}
	if want := "\nAll 14 steps went as they should.\n"; !strings.Contains(out.String(), want) {
		t.Errorf("the output does not hold %q:\n%s", want, &out)
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: got %v, %v, want nothing", left, err)
	}
}

// summary returns what counts in each line about a step.
func summary(t *testing.T, out string) (lines []string) {
	t.Helper()
	line := regexp.MustCompile(`(?m)^ *(\d+)\.  \d\d:\d\d:\d\d  (\w+) +([0-9a-f]{12}) +(\d+)  .*?( \[\w+\])?$`)
	names := map[string]string{}
	for _, match := range line.FindAllStringSubmatch(out, -1) {
		name, known := names[match[3]]
		if !known {
			name = string(rune('A' + len(names)))
			names[match[3]] = name
		}
		lines = append(lines, fmt.Sprint(match[1], " ", match[2], " ", name, " ", match[4], match[5]))
	}
	return lines
}

func TestAStepThatGoesWrongEndsTheTour(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change func(rotation *step)
		want   string
	}{
		"another outcome than wanted": {
			func(rotation *step) { rotation.want.newSecret = false },
			"got {answer:204 reason: usable:2 newSecret:true noted:false}, " +
				"want {answer:204 reason: usable:2 newSecret:false noted:false}",
		},
		"nothing came of it": {
			func(rotation *step) {
				rotation.do = func(context.Context) (fakehost.Answer, error) { return fakehost.Answer{}, errFailing }
			},
			errFailing.Error(),
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out strings.Builder
			err := run(t.Context(), &out, func(site *fakehost.Site) []step {
				steps := story(site)
				test.change(&steps[2])
				return steps
			})
			want := "step 3 did not go as it should: " + test.want + "\n\nThe app's log:\n"
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("got error %v, want one with %q", err, want)
			}
			if strings.Contains(out.String(), " 4. ") || strings.Contains(out.String(), "All ") {
				t.Errorf("the tour went on:\n%s", &out)
			}
		})
	}
}

var errFailing = errors.New("the step failed")
