// Command cyclonus answers questions about NetworkPolicies with the matcher of github.com/mattfenwick/cyclonus.
//
// It reads one JSON object a line (policies, defaulted as an API server stores them, and flows) and writes one
// a line: for each flow whether the destination's ingress rules, the source's egress rules and both allow it.
// A batch that the matcher cannot take is answered with {"error": ...}; the next one is served.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/mattfenwick/cyclonus/pkg/matcher"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
)

type question struct {
	Policies []*networkingv1.NetworkPolicy `json:"policies"`
	Flows    []flow                        `json:"flows"`
}

type flow struct {
	Source      endpoint        `json:"source"`
	Destination endpoint        `json:"destination"`
	Protocol    corev1.Protocol `json:"protocol"`
	Port        int             `json:"port"`
	PortName    string          `json:"portName"`
}

// endpoint is a pod if it names a namespace, else an address outside the cluster.
type endpoint struct {
	IP              string            `json:"ip"`
	Namespace       string            `json:"namespace"`
	NamespaceLabels map[string]string `json:"namespaceLabels"`
	PodLabels       map[string]string `json:"podLabels"`
}

type answer struct {
	Ingress []bool `json:"ingress"`
	Egress  []bool `json:"egress"`
	Allowed []bool `json:"allowed"`
}

type failure struct {
	Error string `json:"error"`
}

func main() {
	if err := serve(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "cyclonus:", err)
		os.Exit(1)
	}
}

// serve answers every line of in on a line of out until in ends.
func serve(in io.Reader, out io.Writer) error {
	reader := bufio.NewReaderSize(in, 1<<20)
	writer := bufio.NewWriterSize(out, 1<<20)
	encoder := json.NewEncoder(writer)
	for {
		line, err := reader.ReadBytes('\n')
		if len(line) > 0 {
			if err := encoder.Encode(reply(line)); err != nil {
				return err
			}
			if err := writer.Flush(); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// reply turns a panic of the matcher (its way to refuse an invalid policy) into an answer.
func reply(line []byte) (result any) {
	defer func() {
		if reason := recover(); reason != nil {
			result = failure{Error: fmt.Sprint(reason)}
		}
	}()
	var asked question
	if err := json.Unmarshal(line, &asked); err != nil {
		return failure{Error: err.Error()}
	}
	return judge(asked)
}

func judge(asked question) answer {
	// Not simplified: that is one more transformation that could differ from the rules as they are written.
	policy := matcher.BuildNetworkPolicies(false, asked.Policies)
	count := len(asked.Flows)
	result := answer{Ingress: make([]bool, count), Egress: make([]bool, count), Allowed: make([]bool, count)}
	for index, flow := range asked.Flows {
		verdict := policy.IsTrafficAllowed(flow.traffic())
		result.Ingress[index] = verdict.Ingress.IsAllowed()
		result.Egress[index] = verdict.Egress.IsAllowed()
		result.Allowed[index] = verdict.IsAllowed()
	}
	return result
}

func (f flow) traffic() *matcher.Traffic {
	return &matcher.Traffic{
		Source:           f.Source.peer(),
		Destination:      f.Destination.peer(),
		ResolvedPort:     f.Port,
		ResolvedPortName: f.PortName,
		Protocol:         f.Protocol,
	}
}

func (e endpoint) peer() *matcher.TrafficPeer {
	if e.Namespace == "" {
		return &matcher.TrafficPeer{IP: e.IP}
	}
	return &matcher.TrafficPeer{
		IP: e.IP,
		Internal: &matcher.InternalPeer{
			Namespace:       e.Namespace,
			NamespaceLabels: e.NamespaceLabels,
			PodLabels:       e.PodLabels,
		},
	}
}
