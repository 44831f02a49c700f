package main

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"time"
)

const requestTimeout = 30 * time.Second

// template is a review cut at its uid, so that a new one costs no parsing.
type template struct {
	before, after []byte
	uidLength     int
}

const minUID = 16

// newTemplate cuts body at request.uid. That text must stand in it exactly once, in quotes.
func newTemplate(body []byte) (template, error) {
	var review struct {
		Request struct {
			UID string `json:"uid"`
		} `json:"request"`
	}
	if err := json.Unmarshal(body, &review); err != nil {
		return template{}, err
	}
	uid := []byte(`"` + review.Request.UID + `"`)
	if len(review.Request.UID) < minUID || bytes.Count(body, uid) != 1 {
		return template{}, fmt.Errorf("request.uid needs at least %d characters and may stand there only once", minUID)
	}
	at := bytes.Index(body, uid) + 1
	return template{before: body[:at], after: body[at+len(uid)-2:], uidLength: len(uid) - 2}, nil
}

func (t template) uid(number int64) string {
	return fmt.Sprintf("%0*d", t.uidLength, number)
}

// client is one connection with one request at a time.
type client struct {
	target    string
	path      string
	trust     *tls.Config
	bodies    []template
	conn      *tls.Conn
	reader    *bufio.Reader
	message   bytes.Buffer
	answer    bytes.Buffer
	latencies []time.Duration
	allowed   int
	failed    error // the first failure
}

func newClient(chosen options) *client {
	created := &client{
		target: chosen.target.Host,
		path:   chosen.target.RequestURI(),
		trust:  chosen.trust,
		bodies: chosen.bodies,
	}
	created.note(created.connect())
	return created
}

func (c *client) connect() error {
	dialer := &net.Dialer{Timeout: requestTimeout}
	conn, err := tls.DialWithDialer(dialer, "tcp", c.target, c.trust)
	if err != nil {
		return err
	}
	c.conn, c.reader = conn, bufio.NewReaderSize(conn, 64<<10)
	return nil
}

func (c *client) close() {
	if c.conn != nil {
		_ = c.conn.Close()
		c.conn = nil
	}
}

func (c *client) note(err error) {
	if err != nil && c.failed == nil {
		c.failed = err
	}
}

// work takes numbers from next until there are requests of them or the deadline has passed.
func (c *client) work(next *atomic.Int64, requests int, deadline time.Time) {
	for {
		number := next.Add(1)
		if number > int64(requests) || time.Now().After(deadline) {
			return
		}
		body := c.bodies[int(number)%len(c.bodies)]
		uid := body.uid(number)
		c.compose(body, uid)
		start := time.Now()
		status, err := c.exchange()
		elapsed := time.Since(start)
		if err == nil {
			err = c.check(status, uid)
		}
		if err != nil {
			c.note(err)
			c.close()
			continue
		}
		c.latencies = append(c.latencies, elapsed)
	}
}

// compose writes the whole request into one buffer: one write, one TLS record where it fits.
func (c *client) compose(body template, uid string) {
	c.message.Reset()
	length := len(body.before) + len(uid) + len(body.after)
	fmt.Fprintf(&c.message, "POST %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: loadgen\r\nContent-Type: application/json\r\n"+
		"Accept: application/json, */*\r\nContent-Length: %d\r\n\r\n", c.path, c.target, length)
	c.message.Write(body.before)
	c.message.WriteString(uid)
	c.message.Write(body.after)
}

// exchange sends the request and reads the whole answer. A connection that the server closed is opened again.
func (c *client) exchange() (int, error) {
	if c.conn == nil {
		if err := c.connect(); err != nil {
			return 0, err
		}
	}
	if err := c.conn.SetDeadline(time.Now().Add(requestTimeout)); err != nil {
		return 0, err
	}
	if _, err := c.conn.Write(c.message.Bytes()); err != nil {
		return 0, err
	}
	response, err := http.ReadResponse(c.reader, nil)
	if err != nil {
		return 0, err
	}
	c.answer.Reset()
	_, err = io.Copy(&c.answer, response.Body)
	if closing := response.Body.Close(); err == nil {
		err = closing
	}
	if response.Close {
		c.close()
	}
	return response.StatusCode, err
}

// check is outside the measured time.
func (c *client) check(status int, uid string) error {
	answer := c.answer.Bytes()
	if status != http.StatusOK {
		return fmt.Errorf("status %d: %.200s", status, answer)
	}
	if !bytes.Contains(answer, []byte(`"`+uid+`"`)) {
		return errors.New("the answer does not echo the uid of its request")
	}
	if bytes.Contains(answer, []byte(`"allowed":true`)) || bytes.Contains(answer, []byte(`"allowed": true`)) {
		c.allowed++
	}
	return nil
}
