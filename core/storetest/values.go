package storetest

import (
	"bytes"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/hostbond/hostbond/core"
)

// full returns an installation with every field set, each to a value of its own, so that a store cannot lose a field
// or take one for another. It finds the fields by reflection: one that is added to [core.Installation] is tested from
// that day. Each seed gives other values. Activity is left out, since Put does not write it.
func full(key core.Key, seed int, zone *time.Location) *core.Installation {
	i := new(core.Installation)
	fill(i, seed, zone)
	i.Key, i.Revision, i.Activity = key, 0, core.Activity{}

	// A secret holds its value, or what the store could not open, or, once retired, neither. A binding holds neither.
	for n := range i.Secrets {
		s := &i.Secrets[n]
		switch n {
		case 0:
			s.State, s.Fingerprint, s.RetiredAt, s.Sealed = core.Usable, s.Value.Fingerprint(), time.Time{}, nil
			s.Bound = false
		case 1:
			s.State, s.RetiredAt, s.Value = core.Usable, time.Time{}, core.Secret{}
			s.Bound = false
		default:
			s.State, s.Value, s.Sealed = core.Retired, core.Secret{}, nil
		}
	}
	return i
}

// fill sets everything that target points to, what slices already hold in place.
func fill(target any, seed int, zone *time.Location) {
	f := filler{seed: seed, n: seed, zone: zone}
	f.fill(reflect.ValueOf(target).Elem())
}

// filler counts the values that it sets and makes each from the count.
type filler struct {
	seed  int
	zone  *time.Location
	n     int
	bools int
}

// seeds is how many seeds, from 0 on, it takes to tell up to fifteen yes-or-no fields apart.
const seeds = 4

func (f *filler) fill(v reflect.Value) {
	f.n++
	switch v.Interface().(type) {
	case time.Time:
		v.Set(reflect.ValueOf(noon.Add(time.Duration(f.n) * 31 * time.Minute).In(f.zone)))
		return
	case core.Secret:
		v.Set(reflect.ValueOf(f.secret()))
		return
	case core.Fingerprint:
		v.SetString(string(f.secret().Fingerprint()))
		return
	case core.State:
		v.SetString(oneOf(f.n, core.Installed, core.Uninstalled))
		return
	case core.Signing:
		v.SetString(oneOf(f.n, core.SignedRS256, core.SignedHS256, core.Unsigned))
		return
	case core.SecretState:
		v.SetString(oneOf(f.n, core.Usable, core.Retired, core.Revoked))
		return
	case core.ReasonCode:
		v.SetString(oneOf(f.n, core.ReasonStale, core.ReasonAudience, core.ReasonStore))
		return
	}

	switch v.Kind() {
	case reflect.Bool:
		f.bools++
		v.SetBool(f.bools>>f.seed&1 == 1) // one binary digit of the field's number for each seed
	case reflect.Int64:
		v.SetInt(int64(f.n))
	case reflect.Uint8:
		v.SetUint(uint64(f.n % 256))
	case reflect.String:
		v.SetString(fmt.Sprintf("value %d", f.n))
	case reflect.Struct:
		for _, field := range v.Fields() {
			f.fill(field)
		}
	case reflect.Slice, reflect.Array:
		if v.Len() == 0 {
			v.Set(reflect.MakeSlice(v.Type(), 3, 3))
		}
		for n := range v.Len() {
			f.fill(v.Index(n))
		}
	default:
		panic(fmt.Sprintf("storetest: a field has the type %s, which fill must learn", v.Type()))
	}
}

func (f *filler) secret() core.Secret {
	secret, err := core.NewSecret(fmt.Sprintf("shared secret number %d", f.n))
	if err != nil {
		panic(err)
	}
	return secret
}

func oneOf[T ~string](n int, values ...T) string { return string(values[n%len(values)]) }

// diff says in which fields got and want differ, or "" if in none. A nil slice is like an empty one, times are equal
// if they are the same instant, and those of got must be in UTC. Secrets are not shown.
func diff(got, want any) string {
	var d differences
	d.compare("", reflect.Indirect(reflect.ValueOf(got)), reflect.Indirect(reflect.ValueOf(want)))
	return strings.Join(d, "; ")
}

type differences []string

func (d *differences) add(path, format string, args ...any) {
	*d = append(*d, strings.TrimPrefix(path, ".")+" "+fmt.Sprintf(format, args...))
}

func (d *differences) compare(path string, got, want reflect.Value) {
	switch want := want.Interface().(type) {
	case time.Time:
		got := got.Interface().(time.Time)
		if !got.Equal(want) {
			d.add(path, "is %s, want %s", got.Format(time.RFC3339Nano), want.UTC().Format(time.RFC3339Nano))
		} else if got.Location() != time.UTC {
			d.add(path, "is in the location %q, want UTC", got.Location())
		}
		return
	case core.Secret:
		got := got.Interface().(core.Secret)
		if got.IsZero() != want.IsZero() || !got.Equal(want) {
			d.add(path, "is another secret: of %d bytes, want %d bytes", len(got.Reveal()), len(want.Reveal()))
		}
		return
	}

	switch want.Kind() {
	case reflect.Struct:
		for n := range want.NumField() {
			d.compare(path+"."+want.Type().Field(n).Name, got.Field(n), want.Field(n))
		}
	case reflect.Slice:
		if got.Len() != want.Len() {
			d.add(path, "has the length %d, want %d", got.Len(), want.Len())
			return
		}
		if want.Type().Elem().Kind() == reflect.Uint8 {
			if !bytes.Equal(got.Bytes(), want.Bytes()) {
				d.add(path, "is %s, want %s", show(got), show(want))
			}
			return
		}
		for n := range want.Len() {
			d.compare(fmt.Sprintf("%s[%d]", path, n), got.Index(n), want.Index(n))
		}
	default:
		if got.Interface() != want.Interface() {
			d.add(path, "is %s, want %s", show(got), show(want))
		}
	}
}

// show prints a value for people: text so that look-alikes show, and long values cut.
func show(v reflect.Value) string {
	printed := fmt.Sprintf("%+v", v)
	if k := v.Kind(); k == reflect.String || k == reflect.Slice || k == reflect.Array {
		printed = fmt.Sprintf("%+q", v)
	}
	if len(printed) > 120 {
		return printed[:120] + "…"
	}
	return printed
}

// sorted returns the client keys in the order in which a store lists them.
func sorted(clientKeys []string) []string { return slices.Sorted(slices.Values(clientKeys)) }
