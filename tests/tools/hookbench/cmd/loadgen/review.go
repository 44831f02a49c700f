package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
)

// review is an AdmissionReview cut at its uid, so that a new one costs no parsing.
type review struct {
	path          string
	before, after []byte
	uidLength     int
}

const minUID = 16

// newReview cuts body at request.uid. That text must stand in it exactly once, in quotes.
func newReview(path string, body []byte) (review, error) {
	var read struct {
		Request struct {
			UID string `json:"uid"`
		} `json:"request"`
	}
	if err := json.Unmarshal(body, &read); err != nil {
		return review{}, err
	}
	uid := []byte(`"` + read.Request.UID + `"`)
	if len(read.Request.UID) < minUID || bytes.Count(body, uid) != 1 {
		return review{}, fmt.Errorf("request.uid needs at least %d characters and may stand there only once", minUID)
	}
	at := bytes.Index(body, uid) + 1
	return review{path: path, before: body[:at], after: body[at+len(uid)-2:], uidLength: len(uid) - 2}, nil
}

func (r review) uid(number int64) string {
	return fmt.Sprintf("%0*d", r.uidLength, number)
}

// write writes the whole request into one buffer: one write, one TLS record where it fits.
func (r review) write(message *bytes.Buffer, host string, number int64) {
	uid := r.uid(number)
	length := len(r.before) + len(uid) + len(r.after)
	fmt.Fprintf(message, "POST %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: loadgen\r\nContent-Type: application/json\r\n"+
		"Accept: application/json, */*\r\nContent-Length: %d\r\n\r\n", r.path, host, length)
	message.Write(r.before)
	message.WriteString(uid)
	message.Write(r.after)
}

func (r review) check(status int, answer []byte, number int64) (bool, error) {
	if status != http.StatusOK {
		return false, fmt.Errorf("status %d: %.200s", status, answer)
	}
	if !bytes.Contains(answer, []byte(`"`+r.uid(number)+`"`)) {
		return false, errors.New("the answer does not echo the uid of its request")
	}
	return bytes.Contains(answer, []byte(`"allowed":true`)) || bytes.Contains(answer, []byte(`"allowed": true`)), nil
}
