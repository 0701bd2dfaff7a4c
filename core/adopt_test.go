package core

import (
	"reflect"
	"strings"
	"testing"
)

// Which secrets of a row become bindings or copies. A and B are app-wide and configured, C is not configured any more.

var configured = map[Fingerprint]Secret{fingerprint("A"): secret("A"), fingerprint("B"): secret("B")}

// rowOf returns a row with the secrets that the words name, such as "A:copy S1:retired".
func rowOf(words string) *Installation {
	row := &Installation{
		Key: Key{"app", "site"}, Revision: 7, State: Installed, Signing: SignedRS256,
		Site:          Site{BaseURL: "https://acme.atlassian.net"},
		SecretVersion: 5, LastOffer: minute(3),
		Run: Run{fingerprint("A"), minute(20), minute(21)}, Proven: fingerprint("A"), Contested: true,
		Watermark: minute(3), Applied: [][32]byte{{3}}, CreatedAt: minute(1), UpdatedAt: minute(21),
	}
	for n, word := range strings.Fields(words) {
		name, kind, _ := strings.Cut(word, ":")
		s := StoredSecret{Fingerprint: fingerprint(name), State: Usable, OfferedAt: minute(n)}
		switch kind {
		case "copy":
			s.Value = secret(name)
		case "unreadable":
			s.Sealed = []byte("sealed " + name)
		case "bound":
			s.Bound = true
		case "retired", "revoked":
			s.State, s.RetiredAt = SecretState(kind), minute(30)
		default:
			panic(word)
		}
		row.Secrets = append(row.Secrets, s)
	}
	return row
}

func wantRow(t *testing.T, got *Installation, words string) {
	t.Helper()
	if want := rowOf(words); !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestUsableCopiesOfAppWideSecretsAreAdoptedAndNothingElseChanges(t *testing.T) {
	for _, c := range []struct {
		before, after string
		moved         bool
	}{
		{"A:copy", "A:bound", true},
		{"S1:copy A:copy", "S1:copy A:bound", true},
		{"A:copy S1:copy", "A:bound S1:copy", true},
		{"A:copy S1:copy B:copy", "A:bound S1:copy B:bound", true},
		{"A:bound B:copy", "A:bound B:bound", true},
		{"A:unreadable S1:unreadable", "A:bound S1:unreadable", true},
		{"A:retired B:revoked S1:copy", "A:retired B:revoked S1:copy", false},
		{"A:bound", "A:bound", false},
		{"C:copy", "C:copy", false},
		{"S1:copy", "S1:copy", false},
		{"", "", false},
	} {
		t.Run(c.before, func(t *testing.T) {
			row := rowOf(c.before)
			if moved, left := row.adopt(configured); moved != c.moved || left {
				t.Errorf("got moved %t, left %t, want %t and nothing left", moved, left, c.moved)
			}
			wantRow(t, row, c.after)
		})
	}
}

func TestUsableBindingsToConfiguredSecretsAreReleasedAndNothingElseChanges(t *testing.T) {
	for _, c := range []struct {
		before, after string
		moved, left   bool
	}{
		{"A:bound", "A:copy", true, false},
		{"S1:copy A:bound", "S1:copy A:copy", true, false},
		{"A:bound S1:copy B:bound", "A:copy S1:copy B:copy", true, false},
		{"C:bound", "C:bound", false, true},
		{"C:bound A:bound", "C:bound A:copy", true, true},
		{"A:retired B:revoked S1:copy", "A:retired B:revoked S1:copy", false, false},
		{"A:copy", "A:copy", false, false},
		{"A:unreadable", "A:unreadable", false, false},
		{"", "", false, false},
	} {
		t.Run(c.before, func(t *testing.T) {
			row := rowOf(c.before)
			if moved, left := row.release(configured); moved != c.moved || left != c.left {
				t.Errorf("got moved %t, left %t, want %t, %t", moved, left, c.moved, c.left)
			}
			wantRow(t, row, c.after)
		})
	}
}

func TestABindingThatWasRetiredOrRevokedIsNotReleased(t *testing.T) {
	for _, state := range []SecretState{Retired, Revoked} {
		row := rowOf("A:bound S1:copy")
		row.Secrets[0].State = state
		before := row.Clone()
		if moved, left := row.release(configured); moved || left || !reflect.DeepEqual(row, before) {
			t.Errorf("%s: got moved %t, left %t and %+v, want the row as it was", state, moved, left, row)
		}
	}
}
