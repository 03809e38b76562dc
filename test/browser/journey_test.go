package browser

import (
	"regexp"
	"testing"
)

// askForCode does the first page.
func (v *visitor) askForCode(number string) {
	v.t.Helper()
	v.open("/")
	v.write(v.say("home.number"), number)
	v.tap(v.say("home.send"))
	v.sees(v.say("verify.heading"))
}

// prove does the second page.
func (v *visitor) prove(code, lastSix string) {
	v.t.Helper()
	v.write(v.say("verify.code"), code)
	v.write(v.say("verify.lastSix"), lastSix)
	v.tap(v.say("verify.start"))
}

var sixDigits = regexp.MustCompile(`^[0-9]{6}$`)

// pickUp takes somebody's phone in the handsets pages, as a person would: by looking for the number in the list.
func (v *visitor) pickUp(who citizen) {
	v.t.Helper()
	v.open("/handsets")
	v.tapOn("#q")
	v.do(keys(who.national()))
	v.tapOn(`form[role="search"] button`)
	v.until("one phone", func() (bool, string) {
		return ask[int](v, `document.querySelectorAll(".holders .holder").length`) == 1, v.page()
	})
	v.tapOn(".holders .holder")
	v.until("the phone", func() (bool, string) { return ask[bool](v, `!!document.querySelector(".phone")`), v.page() })
}

// readCode reads the newest code from the phone that the visitor holds. Without scripts they load the page anew.
func (v *visitor) readCode(other string) (code string) {
	v.t.Helper()
	v.until("a code", func() (bool, string) {
		code = ask[string](v, `Array.from(document.querySelectorAll(".bubble b")).map(e => e.textContent).at(-1) || ""`)
		if sixDigits.MatchString(code) && code != other {
			return true, ""
		}
		if v.noScript {
			v.open(v.path())
		}
		return false, v.page()
	})
	return code
}

// search does the whole way to the progress page or the result.
func (v *visitor) search(phone *visitor, who citizen) {
	v.t.Helper()
	v.askForCode(who.national())
	phone.pickUp(who)
	v.prove(phone.readCode(""), who.IDLast6)
}

func TestNothing(t *testing.T) {}
