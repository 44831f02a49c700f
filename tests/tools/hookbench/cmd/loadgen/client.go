package main

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"time"
)

const requestTimeout = 30 * time.Second

// client is one connection with one request at a time.
type client struct {
	target    string
	trust     *tls.Config
	requests  []request
	conn      *tls.Conn
	reader    *bufio.Reader
	message   bytes.Buffer
	answer    bytes.Buffer
	latencies []time.Duration
	allowed   int
	failed    error // the first failure
}

func newClient(chosen options, number int) *client {
	created := &client{
		target:   chosen.target.Host,
		trust:    chosen.trust,
		requests: chosen.reviews,
	}
	if len(chosen.calls) > 0 {
		created.requests = []request{chosen.calls[number%len(chosen.calls)]}
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

// work takes numbers from next until there are requests of them or the deadline has passed; with a pace, no
// request starts before its turn.
func (c *client) work(next *atomic.Int64, requests int, start time.Time, chosen options) {
	for {
		number := next.Add(1)
		if number > int64(requests) || time.Since(start) > chosen.limit {
			return
		}
		if chosen.rate > 0 {
			time.Sleep(time.Until(start.Add(time.Duration(float64(number) / chosen.rate * float64(time.Second)))))
		}
		sent := c.requests[int(number)%len(c.requests)]
		c.message.Reset()
		sent.write(&c.message, c.target, number)
		began := time.Now()
		status, err := c.exchange()
		elapsed := time.Since(began)
		if err == nil {
			// Outside the measured time.
			var isAllowed bool
			if isAllowed, err = sent.check(status, c.answer.Bytes(), number); isAllowed {
				c.allowed++
			}
		}
		if err != nil {
			c.note(err)
			c.close()
			continue
		}
		c.latencies = append(c.latencies, elapsed)
	}
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
