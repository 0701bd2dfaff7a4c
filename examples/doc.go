// Package examples holds programs to run and to read, each in a directory of its own: quickstart, the app of the README;
// gin, echo, fiber and nethttp, the same small but whole app with each framework; and tour, a site and an app through the
// life of a shared secret.
package examples
