// Package house is the rules of this house as tests: which way imports run, what every package says first, where the time
// comes from, how long a file may be, and that documents lead to what is there. It holds no program; each rule stands in its
// test with its reason, and each exception with one of its own.
package house
