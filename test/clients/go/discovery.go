package main

import (
	"context"
	"fmt"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/openapi"
	"k8s.io/client-go/restmapper"

	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
)

var discoveryChecks = []check{
	{"discovery", discover},
	{"rest-mapper", mapped},
	{"openapi", openAPI},
	{"token-request", tokenRequest},
}

// discover: the aggregated and the plain form tell of the same resources.
func discover(_ context.Context, e *env) error {
	client, err := discovery.NewDiscoveryClientForConfig(e.config)
	if err != nil {
		return err
	}
	told := map[string]string{}
	for _, legacy := range []bool{false, true} {
		client.UseLegacyDiscovery = legacy
		_, lists, err := client.ServerGroupsAndResources()
		if err != nil {
			return err
		}
		for _, list := range lists {
			for _, r := range list.APIResources {
				key := list.GroupVersion + "/" + r.Name
				text := fmt.Sprint(r.Kind, r.Namespaced, r.ShortNames, r.Categories, r.Verbs)
				if !strings.Contains(r.Name, "/") {
					// Only the aggregated form names the singular of a subresource's parent.
					text += r.SingularName
				}
				if !legacy {
					told[key] = text
				} else if told[key] != text {
					return fmt.Errorf("%s is %q aggregated and %q plain", key, told[key], text)
				}
			}
		}
	}
	for _, key := range []string{"v1/pods", "v1/pods/exec", "apps/v1/deployments/scale", "v1/serviceaccounts/token"} {
		if _, there := told[key]; !there {
			return fmt.Errorf("%s is not there", key)
		}
	}
	version, err := client.ServerVersion()
	if err != nil {
		return err
	}
	return expect(version.Major == "1" && version.Minor == "36", "the version is %v", version)
}

func mapped(_ context.Context, e *env) error {
	client, err := discovery.NewDiscoveryClientForConfig(e.config)
	if err != nil {
		return err
	}
	cached := memory.NewMemCacheClient(client)
	mapper := restmapper.NewShortcutExpander(restmapper.NewDeferredDiscoveryRESTMapper(cached), cached, func(string) {})
	for short, want := range map[string]string{"po": "pods", "deploy": "deployments", "hpa": "horizontalpodautoscalers", "netpol": "networkpolicies"} {
		got, err := mapper.ResourceFor(schema.GroupVersionResource{Resource: short})
		if err != nil {
			return err
		}
		if got.Resource != want {
			return fmt.Errorf("%s is %s", short, got)
		}
	}
	got, err := mapper.RESTMapping(schema.GroupKind{Group: "autoscaling", Kind: "HorizontalPodAutoscaler"})
	if err != nil {
		return err
	}
	return expect(got.Resource.Version == "v2", "the preferred version is %s", got.Resource.Version)
}

func openAPI(_ context.Context, e *env) error {
	client, err := discovery.NewDiscoveryClientForConfig(e.config)
	if err != nil {
		return err
	}
	document, err := client.OpenAPISchema()
	if err != nil {
		return err
	}
	if document.Info.Title == "" || len(document.Definitions.AdditionalProperties) < 300 {
		return fmt.Errorf("version 2 has %d definitions", len(document.Definitions.AdditionalProperties))
	}
	paths, err := client.OpenAPIV3().Paths()
	if err != nil {
		return err
	}
	body, err := paths["apis/apps/v1"].Schema(openapi.ContentTypeOpenAPIV3PB)
	if err != nil || len(body) == 0 {
		body, err = paths["apis/apps/v1"].Schema("application/json")
	}
	if err != nil {
		return err
	}
	return expect(strings.Contains(string(body), "io.k8s.api.apps.v1.Deployment"), "no Deployment in the document")
}

// tokenRequest: a token of an account is known for what it is, and may what its bindings allow.
func tokenRequest(ctx context.Context, e *env) error {
	hour := int64(3600)
	made, err := e.client.CoreV1().ServiceAccounts(e.namespace).CreateToken(ctx, "default",
		&authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: &hour}}, metav1.CreateOptions{})
	if err != nil {
		return err
	}
	name := "system:serviceaccount:" + e.namespace + ":default"
	review, err := e.client.AuthenticationV1().TokenReviews().Create(ctx,
		&authenticationv1.TokenReview{Spec: authenticationv1.TokenReviewSpec{Token: made.Status.Token}}, metav1.CreateOptions{})
	if err != nil {
		return err
	}
	if !review.Status.Authenticated || review.Status.User.Username != name {
		return fmt.Errorf("the token is reviewed as %+v", review.Status)
	}
	own, err := asAccount(e, made.Status.Token)
	if err != nil {
		return err
	}
	me, err := own.AuthenticationV1().SelfSubjectReviews().Create(ctx, &authenticationv1.SelfSubjectReview{}, metav1.CreateOptions{})
	if err != nil {
		return err
	}
	if me.Status.UserInfo.Username != name || me.CreationTimestamp.IsZero() {
		return fmt.Errorf("it is told that it is %+v, at %v", me.Status.UserInfo, me.CreationTimestamp)
	}
	may, err := own.AuthorizationV1().SelfSubjectAccessReviews().Create(ctx, &authorizationv1.SelfSubjectAccessReview{
		Spec: authorizationv1.SelfSubjectAccessReviewSpec{ResourceAttributes: &authorizationv1.ResourceAttributes{Verb: "list", Resource: "pods", Namespace: e.namespace}},
	}, metav1.CreateOptions{})
	if err != nil {
		return err
	}
	return expect(!may.Status.Allowed, "an account without bindings may list pods")
}
