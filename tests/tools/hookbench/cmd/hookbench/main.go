// Command hookbench is an empty validating webhook on net/http: it decodes only the fields that an admission
// webhook cannot do without and allows everything. It is the yardstick of `make bench`: the best that a
// webhook in Go could reach before it decides anything.
package main

import (
	"crypto/tls"
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"time"
)

const maxBody = 8 << 20

// review is the part of admission.k8s.io/v1 that says what is asked; the objects themselves are skipped.
type review struct {
	APIVersion string   `json:"apiVersion"`
	Kind       string   `json:"kind"`
	Request    *request `json:"request"`
}

type request struct {
	UID       string     `json:"uid"`
	Kind      objectKind `json:"kind"`
	Name      string     `json:"name"`
	Namespace string     `json:"namespace"`
	Operation string     `json:"operation"`
	UserInfo  userInfo   `json:"userInfo"`
	DryRun    bool       `json:"dryRun"`
}

type objectKind struct {
	Group   string `json:"group"`
	Version string `json:"version"`
	Kind    string `json:"kind"`
}

type userInfo struct {
	Username string   `json:"username"`
	Groups   []string `json:"groups"`
}

type reviewAnswer struct {
	APIVersion string   `json:"apiVersion"`
	Kind       string   `json:"kind"`
	Response   response `json:"response"`
}

type response struct {
	UID     string `json:"uid"`
	Allowed bool   `json:"allowed"`
}

func validate(writer http.ResponseWriter, asked *http.Request) {
	var review review
	if err := json.NewDecoder(http.MaxBytesReader(writer, asked.Body, maxBody)).Decode(&review); err != nil {
		http.Error(writer, err.Error(), http.StatusBadRequest)
		return
	}
	if review.Request == nil || review.Request.UID == "" {
		http.Error(writer, "request.uid is missing", http.StatusBadRequest)
		return
	}
	body, err := json.Marshal(reviewAnswer{
		APIVersion: "admission.k8s.io/v1",
		Kind:       "AdmissionReview",
		Response:   response{UID: review.Request.UID, Allowed: true},
	})
	if err != nil {
		http.Error(writer, err.Error(), http.StatusInternalServerError)
		return
	}
	writer.Header().Set("Content-Type", "application/json")
	_, _ = writer.Write(body) // a client that went away needs no answer
}

func main() {
	address := flag.String("addr", "127.0.0.1:0", "address to listen on; port 0 takes a free one")
	certificate := flag.String("cert", "", "certificate file (PEM)")
	key := flag.String("key", "", "private key file (PEM)")
	flag.Parse()

	files, err := tls.LoadX509KeyPair(*certificate, *key)
	if err != nil {
		log.Fatal(err)
	}
	listener, err := net.Listen("tcp", *address)
	if err != nil {
		log.Fatal(err)
	}
	routes := http.NewServeMux()
	routes.HandleFunc("POST /validate", validate)
	server := &http.Server{
		Handler:           routes,
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       120 * time.Second, // the API server keeps an idle connection for 90 s
		// The API server speaks HTTP/1.1 to webhooks behind a Service, so no "h2" here.
		TLSConfig: &tls.Config{
			MinVersion:   tls.VersionTLS12,
			NextProtos:   []string{"http/1.1"},
			Certificates: []tls.Certificate{files},
		},
	}
	fmt.Printf("https://%s/validate\n", listener.Addr()) // whoever started us waits for this line
	log.Fatal(server.ServeTLS(listener, "", ""))
}
