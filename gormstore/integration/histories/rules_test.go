// The copies are compiled without the race detector, so nothing here would run with it.
//go:build !race

package histories

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// core is where the rules are.
const coreDirectory = "../../../core"

// Each rule is switched off by itself, in a copy of its file that is compiled in place of the original. The histories must
// then find a broken promise, and soon.
func TestWithoutOneOfTheRulesHistoriesBreakAPromise(t *testing.T) {
	for _, rule := range []struct {
		name, file, on, off string
		kind                kind
	}{
		{
			"the watermark", "rotation.go",
			"if cb.issuedAt.Before(i.Watermark) {",
			"if false {",
			signed,
		},
		{
			"the claim", "lifecycle.go",
			"if first.Body != claim.Body {",
			"if first.Body != claim.Body && false {",
			signed,
		},
		{
			"compare-and-swap", "stored.go",
			"return a.config.Store.Put(ctx, row) })",
			"if now, err := a.config.Store.Get(ctx, row.Key); err == nil { row.Revision = now.Revision }; return a.config.Store.Put(ctx, row) })",
			signed,
		},
		{
			"the settle window", "evidence.go",
			"case made.Before(i.LastOffer.Add(settle)):",
			"case made.Before(i.LastOffer):",
			offeredIt,
		},
		{
			"the run", "evidence.go",
			`case i.Run.Fingerprint == "":
		return startsRun`,
			`case i.Run.Fingerprint == "":
		return settlesRun`,
			offeredIt,
		},
		{
			"the week of a contested run", "evidence.go",
			"length = max(settle, contestedSettle)",
			"length = settle",
			leaked,
		},
		{
			"what eviction spares", "rotation.go",
			"if s.Fingerprint == i.Run.Fingerprint || s.Fingerprint == i.Proven {",
			"if false {",
			idle,
		},
		{
			"the order of eviction", "rotation.go",
			"for n, s := range i.Secrets {\n\t\tif s.State != Usable {\n\t\t\tcontinue\n\t\t}\n\t\tif left--; left < 0 {\n\t\t\tbreak\n\t\t}",
			"for n, s := range slices.Backward(i.Secrets) {\n\t\tif s.State != Usable {\n\t\t\tcontinue\n\t\t}\n\t\tif left--; left < -100 {\n\t\t\tbreak\n\t\t}",
			idle,
		},
		{
			"the revocations", "tenants.go",
			"row = revoked.bar(row)",
			"_ = revoked",
			signed,
		},
		{
			"the commit before the answer", "lifecycle.go",
			"err = a.save(ctx, stored, step.next)",
			"err = nil\n\t\tgo func(next *Installation) { _ = a.save(ctx, stored, next) }(step.next.Clone())",
			signed,
		},
		{
			"the re-read on a bad signature", "authenticate.go",
			"refusal.mayBeOutdated() && !fresh",
			"refusal.mayBeOutdated() && false && !fresh",
			signed,
		},
	} {
		t.Run(rule.name, func(t *testing.T) {
			t.Parallel()
			broken := livesWith(t, rule.kind, rule.file, rule.on, rule.off)
			if broken == "" {
				t.Fatal("no history has noticed")
			}
			t.Logf("without %s: %s", rule.name, broken)
		})
	}
}

// livesWith lives histories on a core in which one piece of text is replaced, and returns the promise that was broken.
func livesWith(t *testing.T, k kind, file, on, off string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join(coreDirectory, file))
	if err != nil {
		t.Fatal(err)
	}
	source, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Count(string(source), on) != 1 {
		t.Fatalf("%s does not have this rule once: %s", file, on)
	}
	directory := t.TempDir()
	changed, overlay := filepath.Join(directory, file), filepath.Join(directory, "overlay.json")
	if err := os.WriteFile(changed, []byte(strings.Replace(string(source), on, off, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	replace, err := json.Marshal(map[string]any{"Replace": map[string]string{path: changed}})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(overlay, replace, 0o600); err != nil {
		t.Fatal(err)
	}
	command := exec.CommandContext(t.Context(), "go", "test", "-overlay="+overlay, "-count=1",
		"-run=^TestNoHistoryBreaksAPromiseInMemory$/^kinds$/^"+strings.ReplaceAll(string(k), " ", "_")+"$",
		".", "-rapid.checks=8000", "-rapid.shrinktime=1ns")
	output, err := command.CombinedOutput()
	found := regexp.MustCompile(`\[rapid\] failed after \d+ tests: .*`).FindString(string(output))
	if err == nil || found == "" && !strings.Contains(string(output), "ok ") {
		if err != nil {
			t.Fatalf("%v\n%s", err, output)
		}
	}
	return found
}
