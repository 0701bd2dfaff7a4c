package admin

import (
	"errors"
	"fmt"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/hostbond/hostbond/core"
)

const (
	maxBodyBytes  = 16 << 10
	maxDays       = 36_500
	maxStragglers = 1000
	maxLimit      = 1_000_000
	day           = 24 * time.Hour
)

// parameters are those of a request's query.
type parameters map[string]string

// query takes the parameters that are known, each at most once.
func (x *exchange) query(known ...string) (parameters, error) {
	values, err := url.ParseQuery(x.request.URL.RawQuery)
	if err != nil {
		return nil, bad("the query cannot be read")
	}
	p := parameters{}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		switch {
		case !slices.Contains(known, name):
			return nil, bad(fmt.Sprintf("%q is no parameter of this call", name))
		case len(values[name]) > 1:
			return nil, bad(name + ": is there more than once")
		}
		p[name] = strings.Clone(values[name][0]) // an adaptor may use the memory of the query again
	}
	return p, nil
}

// options are what the report and its parts have in common.
func (p parameters) options() (o core.ReportOptions, err error) {
	if target, ok := p["target"]; ok {
		o.Target = core.Target(target)
		if o.Target != core.TargetOwn && o.Target != core.TargetAppWide {
			return o, bad(fmt.Sprintf("target: is neither %s nor %s", core.TargetOwn, core.TargetAppWide))
		}
	}
	days, err := p.number("activeDays", 1, maxDays)
	o.ActiveWithin = time.Duration(days) * day
	return o, err
}

// number returns a whole number, or 0 if it is not given.
func (p parameters) number(name string, least, most int) (int, error) {
	text, ok := p[name]
	if !ok {
		return 0, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		n = least - 1
	}
	return n, checkNumber(name, n, least, most)
}

// body reads the JSON object of a POST into the struct that into points to.
func (x *exchange) body(into any) error {
	if x.request.URL.RawQuery != "" { // of ?dryRun=true nothing would be heard
		return bad("this call takes no parameters in the URL, but members of a JSON object in the body")
	}
	// No form can send it, so a browser that another page misleads has to ask for permission first, and gets none.
	if mediaType, _, err := mime.ParseMediaType(x.request.Header.Get("Content-Type")); err != nil || mediaType != "application/json" {
		return &fault{http.StatusUnsupportedMediaType, "Content-Type: is not application/json"}
	}
	err := json.UnmarshalRead(http.MaxBytesReader(x.ResponseWriter, x.request.Body, maxBodyBytes), into, strict)
	if err == nil {
		return nil
	}
	if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
		return &fault{http.StatusRequestEntityTooLarge, "the body has more than 16 KiB"}
	}
	if wrong, ok := errors.AsType[*json.SemanticError](err); ok && wrong.JSONPointer != "" {
		name := strings.TrimPrefix(string(wrong.JSONPointer), "/")
		if errors.Is(err, json.ErrUnknownName) {
			return bad(fmt.Sprintf("%q is no member of what this call takes", name))
		}
		return bad(name + ": is of another type than this call takes")
	}
	return bad("the body is not one JSON object")
}

// strict refuses what a slip of the caller would turn into something else than was meant: null, say, into no dry run.
var strict = json.JoinOptions(
	json.RejectUnknownMembers(true),
	json.WithUnmarshalers(json.UnmarshalFromFunc(func(d *jsontext.Decoder, _ any) error {
		if d.PeekKind() == 'n' {
			return errors.New("null")
		}
		return errors.ErrUnsupported // and so the value is read as ever
	})),
)

func checkNumber(name string, n, least, most int) error {
	if n < least || n > most {
		return bad(fmt.Sprintf("%s: is not a whole number from %d to %d", name, least, most))
	}
	return nil
}

// checkClientKey finds what is no client key. The caller may have sent anything, so it is not quoted.
func checkClientKey(name, clientKey string) error {
	strange := func(c rune) bool { return c <= ' ' || c > '~' }
	if clientKey == "" || len(clientKey) > 255 || strings.ContainsFunc(clientKey, strange) {
		return bad(name + ": is no client key")
	}
	return nil
}

func checkFingerprint(f core.Fingerprint) error {
	other := func(c rune) bool { return !strings.ContainsRune("0123456789abcdef", c) }
	if len(f) != 64 || strings.ContainsFunc(string(f), other) {
		return bad("fingerprint: is not the SHA-256 of a secret, 64 digits of lower-case hex")
	}
	return nil
}

func checkReason(reason string) error {
	if strings.TrimSpace(reason) == "" || strings.ContainsFunc(reason, unicode.IsControl) {
		return bad("reason: is not a line of text")
	}
	return nil
}
