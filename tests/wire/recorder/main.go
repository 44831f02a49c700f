// What Kubernetes itself says about NetworkPolicy manifests: JSON objects in, one JSON line for each out.
//
// Built by tests/wire/record.py, in the module that the control plane of the tests is built in.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/kubernetes/pkg/api/legacyscheme"
	"k8s.io/kubernetes/pkg/apis/networking"
	_ "k8s.io/kubernetes/pkg/apis/networking/install"
	"k8s.io/kubernetes/pkg/apis/networking/validation"
	kjson "sigs.k8s.io/json"
)

type answer struct {
	Decoding string   `json:"decoding,omitempty"`
	Unknown  []string `json:"unknown"`
	Errors   []string `json:"errors"`
	Types    []string `json:"types"`
}

func judge(object json.RawMessage) (answer, error) {
	said := answer{Unknown: []string{}, Errors: []string{}, Types: []string{}}
	policy := &networkingv1.NetworkPolicy{}
	strict, err := kjson.UnmarshalStrict(object, policy)
	for _, one := range strict {
		said.Unknown = append(said.Unknown, one.Error())
	}
	if err != nil {
		said.Decoding = err.Error()
		return said, nil
	}
	legacyscheme.Scheme.Default(policy)
	for _, one := range policy.Spec.PolicyTypes {
		said.Types = append(said.Types, string(one))
	}
	internal := &networking.NetworkPolicy{}
	if err := legacyscheme.Scheme.Convert(policy, internal, nil); err != nil {
		return said, err
	}
	options := validation.NetworkPolicyValidationOptions{}
	for _, one := range validation.ValidateNetworkPolicy(internal, options) {
		said.Errors = append(said.Errors, one.Error())
	}
	return said, nil
}

func run(in io.Reader, out io.Writer) error {
	objects := json.NewDecoder(bufio.NewReader(in))
	answers := json.NewEncoder(out)
	for {
		var object json.RawMessage
		if err := objects.Decode(&object); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		said, err := judge(object)
		if err != nil {
			return err
		}
		if err := answers.Encode(said); err != nil {
			return err
		}
	}
}

func main() {
	if err := run(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
