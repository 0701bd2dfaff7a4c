package core

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"testing"
)

// readObject reads data to its end and returns the names of its members, or false where it is no strict JSON object.
func readObject[T string | []byte](data T, known ...string) (names []string, ok bool) {
	object := openObject([]byte(data), known...)
	defer object.close()
	for object.next() {
		names = append(names, object.name())
		object.skip()
	}
	return names, object.whole()
}

func TestAnObjectIsStrictJSON(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		rule, data string
		want       bool
	}{
		{"empty", `{}`, true},
		{"every kind of value", `{"a":null,"b":true,"c":false,"d":-1.5e3,"e":"é\u00e9","f":[],"g":{}}`, true},
		{"white space", " \t\r\n{ \"a\" : [ 1 , 2 ] } \t\r\n", true},
		{"the same name in different objects", `{"a":{"a":[{"a":1},{"a":2}]},"b":{"a":1}}`, true},
		{"surrogates in pairs", `{"a":"\ud83d\ude00"}`, true},

		{"a name twice", `{"a":1,"a":1}`, false},
		{"a name twice, one escaped", `{"a":1,"\u0061":1}`, false},
		{"a name twice, one escaped otherwise", `{"/":1,"\/":1}`, false},
		{"a name twice, nested", `{"x":[{"y":{"a":1,"a":2}}]}`, false},
		{"a lone high surrogate", `{"a":"\ud83d"}`, false},
		{"a lone low surrogate", `{"a":"\ude00"}`, false},
		{"a lone surrogate in a name", `{"\ud83d":1}`, false},
		{"invalid UTF-8", `{"a":"` + "\xff" + `"}`, false},
		{"an overlong form", `{"a":"` + "\xc0\xaf" + `"}`, false},
		{"a surrogate in UTF-8", `{"a":"` + "\xed\xa0\x80" + `"}`, false},
		{"a control character", `{"a":"` + "\x01" + `"}`, false},
		{"a line break in a text", "{\"a\":\"\n\"}", false},
		{"a byte order mark", "\ufeff{}", false},
		{"a second value", `{}{}`, false},
		{"a second value after white space", `{} {}`, false},
		{"a comma after it", `{},`, false},
		{"a bracket after it", `{}}`, false},
		{"NUL after it", "{}\x00", false},
		{"a space that JSON does not know", "{}\u00a0", false},
		{"a form feed", "{}\f", false},
		{"nothing", ``, false},
		{"white space only", ` `, false},
		{"null", `null`, false},
		{"a list", `[]`, false},
		{"a text", `"{}"`, false},
		{"not closed", `{"a":1`, false},
		{"closed by another bracket", `{"a":1]`, false},
		{"a comma at the end", `{"a":1,}`, false},
		{"no colon", `{"a" 1}`, false},
		{"a name without quotes", `{a:1}`, false},
		{"single quotes", `{'a':1}`, false},
		{"a comment", `{/**/}`, false},
		{"NaN", `{"a":NaN}`, false},
		{"a number with a leading zero", `{"a":01}`, false},
		{"a number with a plus", `{"a":+1}`, false},
		{"a hexadecimal number", `{"a":0x1}`, false},
		{"True", `{"a":True}`, false},
	} {
		if _, got := readObject(test.data); got != test.want {
			t.Errorf("%s: %q: got %v, want %v", test.rule, test.data, got, test.want)
		}
	}
}

func TestNestingIsBounded(t *testing.T) {
	t.Parallel()
	// The object itself is the first of the levels.
	for _, test := range []struct {
		levels int
		want   bool
	}{{32, true}, {33, false}, {9_000, false}, {1_000_000, false}} {
		lists := `{"a":` + strings.Repeat("[", test.levels-1) + strings.Repeat("]", test.levels-1) + `}`
		if _, got := readObject(lists); got != test.want {
			t.Errorf("lists, %d levels in all: got %v, want %v", test.levels, got, test.want)
		}
		objects := strings.Repeat(`{"a":`, test.levels) + `1` + strings.Repeat("}", test.levels)
		if _, got := readObject(objects); got != test.want {
			t.Errorf("objects, %d levels in all: got %v, want %v", test.levels, got, test.want)
		}
	}
}

func TestANameThatDiffersFromAKnownOneInCaseOnlyIsRefused(t *testing.T) {
	t.Parallel()
	known := []string{"iss", "kid"}
	for name, want := range map[string]bool{
		"other": true, "is": true, "isss": true, "is\u0301s": true,
		"Iss": false, "ISS": false, `\u0049ss`: false,
		"i\u017fs": false, // the long s
		"\u212aid": false, // the Kelvin sign
	} {
		data := fmt.Sprintf(`{"first":0,"%s":1}`, name)
		if _, got := readObject(data, known...); got != want {
			t.Errorf("%s: got %v, want %v", data, got, want)
		}
	}
}

func TestAnObjectLeavesNothingForTheNext(t *testing.T) {
	t.Parallel()
	for _, data := range []string{`{"A":1}`, `{"a":`, `{"a":[[`, ``, `nonsense`, "{}\xff"} {
		for range 4 { // enough to meet the same object again in the pool
			readObject(data, "a")
			if names, ok := readObject(`{"b":1}`, "a"); !ok || len(names) != 1 || names[0] != "b" {
				t.Fatalf("after %q: got %q, %v; want b, true", data, names, ok)
			}
		}
	}
}

// FuzzObject: what is accepted is JSON for everybody, an object, and has no name twice in any object in it.
func FuzzObject(f *testing.F) {
	for _, data := range []string{
		`{}`, plainHeader, plainClaims, `{"a":{"b":[{"c":1},{"c":2}]}}`, `{"a":1,"\u0061":2}`, `{"a":{"x":1,"x":2}}`,
		`{"a":"\ud800"}`, `{"a":1}{}`, "\ufeff{}", `{"":{"":[0,-0,1e9,1E+9,1e700]}} `,
		strings.Repeat(`{"a":`, 33) + "1" + strings.Repeat("}", 33),
	} {
		f.Add([]byte(data))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		before := bytes.Clone(data)
		names, ok := readObject(data)
		if !bytes.Equal(before, data) {
			t.Fatalf("reading changed %q to %q", before, data)
		}
		if !ok {
			return
		}
		if !json.Valid(data) {
			t.Fatalf("accepted %q, which is no JSON", data)
		}
		var members map[string]json.RawMessage
		if err := json.Unmarshal(data, &members); err != nil {
			t.Fatalf("accepted %q: %v", data, err)
		}
		if len(members) != len(names) {
			t.Errorf("%q: got the names %q, want %d", data, names, len(members))
		}
		for _, name := range names {
			if _, known := members[name]; !known {
				t.Errorf("%q: read the name %q, which the other parser does not", data, name)
			}
		}
		decoder := json.NewDecoder(bytes.NewReader(data))
		decoder.UseNumber() // which need not fit a float64
		if name, found := repeatedName(t, decoder); found {
			t.Errorf("accepted %q, with %q twice in one object", data, name)
		}
		if _, err := decoder.Token(); err != io.EOF {
			t.Errorf("accepted %q, with something after the object: %v", data, err)
		}
	})
}

// repeatedName walks over one value and returns a name that one of the objects in it has twice.
func repeatedName(t *testing.T, decoder *json.Decoder) (name string, found bool) {
	t.Helper()
	next := func() json.Token {
		token, err := decoder.Token()
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	delimiter, _ := next().(json.Delim)
	seen := map[string]bool{}
	for (delimiter == '{' || delimiter == '[') && decoder.More() {
		if delimiter == '{' {
			member := next().(string)
			if seen[member] {
				return member, true
			}
			seen[member] = true
		}
		if name, found := repeatedName(t, decoder); found {
			return name, true
		}
	}
	if delimiter == '{' || delimiter == '[' {
		next()
	}
	return "", false
}
