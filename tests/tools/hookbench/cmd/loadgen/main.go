// Command loadgen measures over HTTPS: HTTP/1.1 with kept-alive connections, as the API server uses, a closed
// loop of -c clients and -n requests in all. With -body it sends AdmissionReviews to a webhook: every answer must
// have status 200 and echo the uid of its request, which is a new one each time. With -call it sends requests to an
// API server. The result is one line of JSON on standard output.
package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log"
	"net"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	maxRequests = 10_000_000
	maxClients  = 1024
)

// report is what the caller reads; percentiles are of the answered requests, warm-up not included.
type report struct {
	Requests   int     `json:"requests"`
	Allowed    int     `json:"allowed"`
	Errors     int     `json:"errors"`
	FirstError string  `json:"first_error"`
	P50        float64 `json:"p50_us"`
	P90        float64 `json:"p90_us"`
	P99        float64 `json:"p99_us"`
	Max        float64 `json:"max_us"`
	Rate       float64 `json:"rps"`
}

type files []string

func (f *files) String() string     { return fmt.Sprint(*f) }
func (f *files) Set(s string) error { *f = append(*f, s); return nil }

type options struct {
	target   *url.URL
	trust    *tls.Config
	reviews  []request
	calls    []request
	requests int
	warmup   int
	clients  int
	limit    time.Duration
	rate     float64
}

func main() {
	chosen, err := parse()
	if err != nil {
		log.Fatal("loadgen: ", err)
	}
	if chosen.warmup > 0 {
		if result := run(chosen, chosen.warmup); result.Errors > 0 {
			log.Fatalf("loadgen: warm-up: %d errors, the first: %s", result.Errors, result.FirstError)
		}
	}
	if err := json.NewEncoder(os.Stdout).Encode(run(chosen, chosen.requests)); err != nil {
		log.Fatal("loadgen: ", err)
	}
}

func parse() (options, error) {
	var bodies, calls files
	target := flag.String("url", "", "https://127.0.0.1:PORT/PATH of the webhook, or of the API server without a path")
	authority := flag.String("ca", "", "certificate file (PEM) that the webhook's certificate must lead to")
	requests := flag.Int("n", 1000, "requests in all")
	warmup := flag.Int("warmup", 0, "requests before the measured ones")
	clients := flag.Int("c", 1, "clients, each with one connection and one request at a time")
	limit := flag.Duration("limit", 2*time.Minute, "no request starts later than this after the first")
	rate := flag.Float64("rate", 0, "requests a second of all clients together at the most; 0: as many as can be")
	token := flag.String("token", "", "file with the bearer token of -call")
	flag.Var(&calls, "call", "file with a request as JSON: method, path, type, body, and the status it must have; "+
		"{number} in path and body is replaced; repeat it for further clients")
	flag.Var(&bodies, "body", "file with an AdmissionReview; repeat it to take turns")
	flag.Parse()

	chosen := options{requests: *requests, warmup: *warmup, clients: *clients, limit: *limit, rate: *rate}
	if *requests < 1 || *requests > maxRequests || *warmup < 0 || *warmup > maxRequests {
		return chosen, fmt.Errorf("-n must lie in 1..%d, -warmup in 0..%d", maxRequests, maxRequests)
	}
	if *clients < 1 || *clients > maxClients {
		return chosen, fmt.Errorf("-c must lie in 1..%d", maxClients)
	}
	var err error
	if chosen.target, err = loopback(*target); err != nil {
		return chosen, err
	}
	if chosen.trust, err = trust(*authority); err != nil {
		return chosen, err
	}
	if (len(bodies) == 0) == (len(calls) == 0) {
		return chosen, errors.New("need -body or -call")
	}
	chosen.reviews, err = read(bodies, func(text []byte) (request, error) {
		return newReview(chosen.target.RequestURI(), text)
	})
	if err != nil || len(calls) == 0 {
		return chosen, err
	}
	bearer, err := os.ReadFile(*token)
	if err != nil {
		return chosen, err
	}
	chosen.calls, err = read(calls, func(text []byte) (request, error) {
		return newCall(text, strings.TrimSpace(string(bearer)))
	})
	return chosen, err
}

// loopback refuses to send load to any machine but this one.
func loopback(text string) (*url.URL, error) {
	target, err := url.Parse(text)
	if err != nil {
		return nil, err
	}
	address := net.ParseIP(target.Hostname())
	if target.Scheme != "https" || target.Port() == "" || address == nil || !address.IsLoopback() {
		return nil, fmt.Errorf("-url %q: need https://, a loopback address and a port", text)
	}
	return target, nil
}

func trust(path string) (*tls.Config, error) {
	pem, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("-ca %s: no certificate in it", path)
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots, NextProtos: []string{"http/1.1"}}, nil
}

func read(names files, parse func([]byte) (request, error)) ([]request, error) {
	var found []request
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		parsed, err := parse(text)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		found = append(found, parsed)
	}
	return found, nil
}

// run lets all clients connect first, so that handshakes are not measured, then starts them together.
func run(chosen options, requests int) report {
	clients := make([]*client, chosen.clients)
	for index := range clients {
		clients[index] = newClient(chosen, index)
	}
	var next atomic.Int64
	var wait sync.WaitGroup
	start := time.Now()
	for _, each := range clients {
		wait.Add(1)
		go func() {
			defer wait.Done()
			each.work(&next, requests, start, chosen)
		}()
	}
	wait.Wait()
	return summary(clients, requests, time.Since(start))
}

func summary(clients []*client, requests int, elapsed time.Duration) report {
	result := report{Requests: requests}
	var latencies []time.Duration
	for _, each := range clients {
		each.close()
		latencies = append(latencies, each.latencies...)
		result.Allowed += each.allowed
		if each.failed != nil && result.FirstError == "" {
			result.FirstError = each.failed.Error()
		}
	}
	// Requests that the time limit left out count as errors: nobody should compare such a run.
	result.Errors = requests - len(latencies)
	if result.Errors > 0 && result.FirstError == "" {
		result.FirstError = "the time limit was reached"
	}
	slices.Sort(latencies)
	result.P50, result.P90 = percentile(latencies, 50), percentile(latencies, 90)
	result.P99, result.Max = percentile(latencies, 99), percentile(latencies, 100)
	result.Rate = float64(len(latencies)) / elapsed.Seconds()
	return result
}

// percentile is the smallest latency that at least p percent do not exceed, in microseconds.
func percentile(sorted []time.Duration, p int) float64 {
	if len(sorted) == 0 {
		return 0
	}
	rank := (len(sorted)*p + 99) / 100
	return float64(sorted[max(rank, 1)-1].Nanoseconds()) / 1000
}
