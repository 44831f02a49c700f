package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// request is what is sent again and again, each time a little different.
type request interface {
	// write writes a whole HTTP request.
	write(message *bytes.Buffer, host string, number int64)
	// check tells whether something was allowed; an error is an answer that nobody expected.
	check(status int, answer []byte, number int64) (bool, error)
}

// call is a request to the API server itself. In its path and body {number} is replaced by that of the request.
type call struct {
	Method string          `json:"method"`
	Path   string          `json:"path"`
	Type   string          `json:"type"`
	Body   json.RawMessage `json:"body"`
	Status int             `json:"status"`
	token  string
}

func newCall(text []byte, token string) (call, error) {
	read := call{token: token}
	err := json.Unmarshal(text, &read)
	if err == nil && (read.Method == "" || !strings.HasPrefix(read.Path, "/") || read.Status == 0) {
		err = fmt.Errorf("method, path or status is missing")
	}
	return read, err
}

func (c call) write(message *bytes.Buffer, host string, number int64) {
	filled := strings.NewReplacer("{number}", strconv.FormatInt(number, 10))
	body := filled.Replace(string(c.Body))
	fmt.Fprintf(message, "%s %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: loadgen\r\nAuthorization: Bearer %s\r\n"+
		"Content-Type: %s\r\nAccept: application/json\r\nContent-Length: %d\r\n\r\n%s",
		c.Method, filled.Replace(c.Path), host, c.token, c.Type, len(body), body)
}

func (c call) check(status int, answer []byte, _ int64) (bool, error) {
	if status != c.Status {
		return false, fmt.Errorf("status %d instead of %d: %.300s", status, c.Status, answer)
	}
	return status < 300, nil
}
