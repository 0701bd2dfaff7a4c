package qsh_test

import (
	"fmt"

	"github.com/hostbond/hostbond/core/qsh"
)

// The parameters are sorted, encoded anew, and the token is left out.
func ExampleCanonical() {
	fmt.Println(qsh.Canonical("get", "/connect/search/?q=a+b&id=2&id=10&flag&jwt=header.claims.signature", "/connect"))
	// Output: GET&/search&flag=&id=10,2&q=a%20b
}

// A call to Confluence is signed without the path of the site's own base URL.
func ExampleHash() {
	fmt.Println(qsh.Hash("GET", "/wiki/rest/api/content?expand=space", "/wiki"))
	// Output: 8adb44ab98503bdebe378db7096eeef722da487b08969d317d7fda7cb8610687
}

// The token of an installed callback is good for that route, and for no other.
func ExampleMatch() {
	const claim = "4a2e1de8ca74e6cafe8862d332fa3ac7a8e51e692bc6d798ea4dfedc14948bf4"

	fmt.Println(qsh.Match(claim, "POST", "/connect/installed", "/connect"))
	fmt.Println(qsh.Match(claim, "POST", "/connect/uninstalled", "/connect"))
	// Output:
	// true
	// false
}

// A proxy puts a prefix in front of every path, and the app does not know of it.
func ExampleDiagnose() {
	const claim = "4a2e1de8ca74e6cafe8862d332fa3ac7a8e51e692bc6d798ea4dfedc14948bf4"

	mismatch := qsh.Diagnose(claim, "POST", "/app/installed", "")
	fmt.Printf("%q %s\n", mismatch.Canonical, mismatch.NearMiss)
	// Output: "POST&/app/installed&" would match without the prefix /app
}
