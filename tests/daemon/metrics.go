package daemon

import (
	"io"
	"net"
	"net/http"
	"testing"
	"time"
)

// FreeAddress returns an address of this machine on which nobody listens just
// now, for --metrics-address.
func FreeAddress(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

// scrapePatience is how long a driver may take to serve its metrics.
const scrapePatience = time.Minute

// Scrape reads the metrics that a driver serves at an address.
func Scrape(t testing.TB, address string) string {
	t.Helper()
	deadline := time.Now().Add(scrapePatience)
	for {
		text, err := get("http://" + address + "/metrics")
		if err == nil {
			return text
		}
		if time.Now().After(deadline) {
			t.Fatalf("scrape the metrics: %v", err)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func get(url string) (string, error) {
	resp, err := http.Get(url)
	if err != nil {
		return "", err
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	return string(text), err
}
