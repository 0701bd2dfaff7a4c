package core

import (
	"bytes"
	"strconv"
	"strings"
	"sync"

	"github.com/go-json-experiment/json/jsontext"
)

// maxJSONDepth bounds nesting; what a site sends nests four deep.
const maxJSONDepth = 32

// object reads one JSON object, member by member, and nothing after it. The decoder refuses duplicate names, invalid
// UTF-8 and lone surrogates; object adds what it lets through: null for a value, case variants of known names, deep
// nesting and numbers that are no whole seconds. Reading goes on after a fault without effect, as with bufio.Scanner;
// whole tells.
type object struct {
	decoder *jsontext.Decoder
	source  bytes.Buffer
	known   []string // the names that mean something
	member  string
	faulty  bool
}

var objects = sync.Pool{New: func() any { return &object{decoder: new(jsontext.Decoder)} }}

func openObject(data []byte, known ...string) *object {
	o := objects.Get().(*object)
	o.source = *bytes.NewBuffer(data)
	o.decoder.Reset(&o.source)
	o.known, o.faulty = known, false
	o.token('{')
	return o
}

// close gives the object back. It may not be used any more.
func (o *object) close() {
	o.source = bytes.Buffer{}
	objects.Put(o)
}

// next moves on to the next member and reports whether there is one. A case variant of a known name is a fault: a
// parser that ignores case, as Go's own once did, would read it as the real one.
func (o *object) next() bool {
	if o.faulty || o.decoder.PeekKind() != '"' {
		return false
	}
	quoted, err := o.decoder.ReadValue()
	if err != nil {
		o.faulty = true
		return false
	}
	// Nearly every name is a known one without escapes, and costs no memory.
	for _, name := range o.known {
		if string(quoted[1:len(quoted)-1]) == name {
			o.member = name
			return true
		}
	}
	name, _ := jsontext.AppendUnquote(nil, quoted) // it was valid a moment ago
	o.member = string(name)
	for _, name := range o.known {
		o.faulty = o.faulty || o.member != name && strings.EqualFold(o.member, name)
	}
	return !o.faulty
}

// name returns the name of the member whose value is next.
func (o *object) name() string { return o.member }

// whole reports whether the object was read to its end, was all there was, and had no fault.
func (o *object) whole() bool {
	o.token('}')
	return !o.faulty && len(bytes.TrimLeft(o.decoder.UnreadBuffer(), " \t\r\n")) == 0
}

// token reads one token of the kind and returns it; at a fault it returns the zero token.
func (o *object) token(kind jsontext.Kind) jsontext.Token {
	if o.faulty || o.decoder.PeekKind() != kind {
		o.faulty = true
		return jsontext.Token{}
	}
	token, err := o.decoder.ReadToken()
	o.faulty = err != nil
	return token
}

func (o *object) text() string {
	token := o.token('"')
	if o.faulty {
		return ""
	}
	return token.String()
}

func (o *object) textOrNull() string {
	if o.decoder.PeekKind() == 'n' {
		o.token('n')
		return ""
	}
	return o.text()
}

func (o *object) textOrTexts() []string {
	if o.decoder.PeekKind() == '"' {
		return []string{o.text()}
	}
	texts := []string{}
	o.token('[')
	for !o.faulty && o.decoder.PeekKind() == '"' {
		texts = append(texts, o.text())
	}
	o.token(']')
	return texts
}

// seconds reads a whole number of seconds from 1 to 2^53, which every parser reads alike. Fractions and exponents are
// refused: no site sends them.
func (o *object) seconds() int64 {
	token := o.token('0')
	if o.faulty {
		return 0
	}
	n, err := strconv.ParseInt(token.String(), 10, 64)
	if err != nil || n < 1 || n > 1<<53 {
		o.faulty = true
		return 0
	}
	return n
}

// contextUser reads {"user":{"accountId":"…"}} out of a context claim, where older hosts name the user.
func (o *object) contextUser() (accountID string) {
	if o.decoder.PeekKind() != '{' {
		o.skip()
		return ""
	}
	o.members(func(name string) {
		if name != "user" || o.decoder.PeekKind() != '{' {
			o.skip()
			return
		}
		o.members(func(name string) {
			if name != "accountId" || o.decoder.PeekKind() != '"' {
				o.skip()
				return
			}
			accountID = o.text()
		})
	})
	return accountID
}

// members reads a nested object and calls value at each of its values.
func (o *object) members(value func(name string)) {
	o.token('{')
	for !o.faulty && o.decoder.PeekKind() == '"' {
		value(o.text())
	}
	o.token('}')
}

// skip passes over a value that means nothing to us.
func (o *object) skip() {
	for depth := o.decoder.StackDepth(); !o.faulty; {
		if _, err := o.decoder.ReadToken(); err != nil || o.decoder.StackDepth() > maxJSONDepth {
			o.faulty = true
		}
		if o.decoder.StackDepth() <= depth {
			return
		}
	}
}
