// Go's own resolver: one question per line of standard input, `kind name`; see resolvers.py.
package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"time"
)

func ask(resolver *net.Resolver, kind, name string) (found []string, err error) {
	ctx := context.Background()
	switch kind {
	case "addresses":
		var addresses []net.IPAddr
		addresses, err = resolver.LookupIPAddr(ctx, name)
		for _, each := range addresses {
			found = append(found, each.String())
		}
	case "srv":
		var records []*net.SRV
		_, records, err = resolver.LookupSRV(ctx, "", "", name)
		for _, each := range records {
			found = append(found, fmt.Sprintf("%d:%d:%d:%s", each.Priority, each.Weight, each.Port, each.Target))
		}
	case "reverse":
		found, err = resolver.LookupAddr(ctx, name)
	}
	return found, err
}

func word(err error) string {
	var fault *net.DNSError
	switch {
	case err == nil:
		return ""
	case !errors.As(err, &fault):
		return err.Error()
	case fault.IsNotFound:
		return "no such host"
	default:
		return fault.Err
	}
}

func main() {
	resolver := &net.Resolver{PreferGo: true}
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		kind, name, _ := strings.Cut(lines.Text(), " ")
		begun := time.Now()
		found, err := ask(resolver, kind, name)
		ms := float64(time.Since(begun).Microseconds()) / 1000
		fmt.Printf("%.2f\t%s\t%s\n", ms, word(err), strings.Join(found, " "))
	}
}
