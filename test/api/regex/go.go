// As ours.c, by Go's package regexp, with which Kubernetes matches.
package main

import (
	"bufio"
	"encoding/hex"
	"fmt"
	"os"
	"regexp"
	"strings"
)

func fromHex(s string) string {
	bytes, _ := hex.DecodeString(strings.Trim(s, "-"))
	return string(bytes)
}

func main() {
	in := bufio.NewScanner(os.Stdin)
	in.Buffer(nil, 1<<18)
	for in.Scan() {
		words := strings.Fields(in.Text())
		re, err := regexp.Compile(fromHex(words[0]))
		switch {
		case err != nil && strings.Contains(err.Error(), "too large"):
			fmt.Println("limit")
		case err != nil:
			fmt.Println("bad")
		case re.MatchString(fromHex(words[1])):
			fmt.Println("1")
		default:
			fmt.Println("0")
		}
	}
}
