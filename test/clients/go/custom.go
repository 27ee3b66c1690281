package main

import (
	"context"
	"fmt"
	"strings"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apiextensions "k8s.io/apiextensions-apiserver/pkg/client/clientset/clientset"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
)

var customChecks = []check{{"custom-resources", customResources}}

// definition is a CRD of boats with status, scale, printed columns, a default and a rule.
func definition(group string) *apiextensionsv1.CustomResourceDefinition {
	zero := float64(0)
	replicas := apiextensionsv1.JSONSchemaProps{Type: "integer", Minimum: &zero, Default: &apiextensionsv1.JSON{Raw: []byte("1")}}
	return &apiextensionsv1.CustomResourceDefinition{
		ObjectMeta: metav1.ObjectMeta{Name: "boats." + group},
		Spec: apiextensionsv1.CustomResourceDefinitionSpec{
			Group: group, Scope: apiextensionsv1.NamespaceScoped,
			Names: apiextensionsv1.CustomResourceDefinitionNames{Plural: "boats", Singular: "boat", Kind: "Boat", ListKind: "BoatList", ShortNames: []string{"bt"}},
			Versions: []apiextensionsv1.CustomResourceDefinitionVersion{{
				Name: "v1", Served: true, Storage: true,
				Schema: &apiextensionsv1.CustomResourceValidation{OpenAPIV3Schema: &apiextensionsv1.JSONSchemaProps{
					Type: "object",
					Properties: map[string]apiextensionsv1.JSONSchemaProps{
						"spec": {Type: "object", Properties: map[string]apiextensionsv1.JSONSchemaProps{
							"replicas": replicas, "sail": {Type: "string"}, "crew": {Type: "integer"},
						}, XValidations: apiextensionsv1.ValidationRules{{Rule: "!has(self.crew) || self.crew <= 9", Message: "at most nine"}}},
						"status": {Type: "object", Properties: map[string]apiextensionsv1.JSONSchemaProps{
							"replicas": {Type: "integer"}, "phase": {Type: "string"},
						}},
					},
				}},
				Subresources: &apiextensionsv1.CustomResourceSubresources{
					Status: &apiextensionsv1.CustomResourceSubresourceStatus{},
					Scale:  &apiextensionsv1.CustomResourceSubresourceScale{SpecReplicasPath: ".spec.replicas", StatusReplicasPath: ".status.replicas"},
				},
				AdditionalPrinterColumns: []apiextensionsv1.CustomResourceColumnDefinition{{Name: "Sail", Type: "string", JSONPath: ".spec.sail"}},
			}},
		},
	}
}

// define makes a CRD and waits for it to be established.
func define(ctx context.Context, e *env, crd *apiextensionsv1.CustomResourceDefinition) (func(), error) {
	client, err := apiextensions.NewForConfig(protobuf(e.config))
	if err != nil {
		return nil, err
	}
	crds := client.ApiextensionsV1().CustomResourceDefinitions()
	if _, err := crds.Create(ctx, crd, metav1.CreateOptions{}); err != nil {
		return nil, err
	}
	remove := func() { _ = crds.Delete(context.Background(), crd.Name, metav1.DeleteOptions{}) }
	return remove, eventually(ctx, "the CRD is established", func(ctx context.Context) (bool, error) {
		got, err := crds.Get(ctx, crd.Name, metav1.GetOptions{})
		if err != nil {
			return false, err
		}
		for _, c := range got.Status.Conditions {
			if c.Type == apiextensionsv1.Established && c.Status == apiextensionsv1.ConditionTrue {
				return true, nil
			}
		}
		return false, nil
	})
}

func boat(group, name string, spec map[string]any) *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": group + "/v1", "kind": "Boat", "metadata": map[string]any{"name": name}, "spec": spec,
	}}
}

func customResources(ctx context.Context, e *env) error {
	group := e.namespace + ".example.com"
	remove, err := define(ctx, e, definition(group))
	if err != nil {
		return err
	}
	defer remove()
	client, err := dynamic.NewForConfig(e.config)
	if err != nil {
		return err
	}
	boats := client.Resource(schema.GroupVersionResource{Group: group, Version: "v1", Resource: "boats"}).Namespace(e.namespace)
	made, err := boats.Create(ctx, boat(group, "a", map[string]any{"sail": "red", "unknown": "x"}), metav1.CreateOptions{})
	if err != nil {
		return err
	}
	replicas, _, _ := unstructured.NestedInt64(made.Object, "spec", "replicas")
	_, kept, _ := unstructured.NestedString(made.Object, "spec", "unknown")
	if replicas != 1 || kept || made.GetGeneration() != 1 {
		return fmt.Errorf("made is %v", made.Object)
	}
	_, err = boats.Create(ctx, boat(group, "b", map[string]any{"crew": int64(10)}), metav1.CreateOptions{})
	if !apierrors.IsInvalid(err) || !strings.Contains(err.Error(), "at most nine") {
		return fmt.Errorf("ten are not too many: %v", err)
	}
	_ = unstructured.SetNestedField(made.Object, "sailing", "status", "phase")
	_ = unstructured.SetNestedField(made.Object, "blue", "spec", "sail")
	updated, err := boats.UpdateStatus(ctx, made, metav1.UpdateOptions{})
	if err != nil {
		return err
	}
	phase, _, _ := unstructured.NestedString(updated.Object, "status", "phase")
	sail, _, _ := unstructured.NestedString(updated.Object, "spec", "sail")
	if phase != "sailing" || sail != "red" || updated.GetGeneration() != 1 {
		return fmt.Errorf("after the status: %v", updated.Object)
	}
	scaled, err := boats.Patch(ctx, "a", types.MergePatchType, []byte(`{"spec":{"replicas":4}}`), metav1.PatchOptions{}, "scale")
	if err != nil {
		return err
	}
	if scaled.GetKind() != "Scale" {
		return fmt.Errorf("the scale is %v", scaled.Object)
	}
	w, err := boats.Watch(ctx, metav1.ListOptions{ResourceVersion: made.GetResourceVersion()})
	if err != nil {
		return err
	}
	defer w.Stop()
	for _, want := range []string{"status", "scale"} {
		if event := <-w.ResultChan(); event.Type != "MODIFIED" {
			return fmt.Errorf("the watch tells of the %s by %v", want, event)
		}
	}
	_, err = boats.Patch(ctx, "a", types.StrategicMergePatchType, []byte(`{}`), metav1.PatchOptions{})
	return expect(apierrors.IsUnsupportedMediaType(err), "a strategic patch is not refused but %v", err)
}
