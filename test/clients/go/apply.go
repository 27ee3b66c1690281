package main

import (
	"context"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	appsapply "k8s.io/client-go/applyconfigurations/apps/v1"
	coreapply "k8s.io/client-go/applyconfigurations/core/v1"
	metaapply "k8s.io/client-go/applyconfigurations/meta/v1"
	"k8s.io/client-go/dynamic"
)

var applyChecks = []check{
	{"apply-configurations", applyConfigurations},
	{"apply-extracts", applyExtracts},
	{"apply-status", applyStatus},
	{"apply-dynamic", applyDynamic},
}

func deploymentApply(namespace, image string) *appsapply.DeploymentApplyConfiguration {
	labels := map[string]string{"app": "web"}
	return appsapply.Deployment("web", namespace).WithLabels(labels).WithSpec(appsapply.DeploymentSpec().WithReplicas(2).
		WithSelector(metaapply.LabelSelector().WithMatchLabels(labels)).
		WithTemplate(coreapply.PodTemplateSpec().WithLabels(labels).WithSpec(coreapply.PodSpec().WithContainers(
			coreapply.Container().WithName("web").WithImage(image).WithPorts(coreapply.ContainerPort().WithContainerPort(80)),
			coreapply.Container().WithName("side").WithImage("example/side:1")))))
}

// applyConfigurations: creation, conflict with its causes, force, and removal of what is no longer applied.
func applyConfigurations(ctx context.Context, e *env) error {
	deployments := e.client.AppsV1().Deployments(e.namespace)
	made, err := deployments.Apply(ctx, deploymentApply(e.namespace, "example/web:1"), metav1.ApplyOptions{FieldManager: "one"})
	if err != nil {
		return err
	}
	if made.ManagedFields[0].Manager != "one" || made.ManagedFields[0].Operation != metav1.ManagedFieldsOperationApply {
		return fmt.Errorf("the fields are managed by %v", made.ManagedFields)
	}
	same, err := deployments.Apply(ctx, deploymentApply(e.namespace, "example/web:1"), metav1.ApplyOptions{FieldManager: "one"})
	if err != nil {
		return err
	}
	if same.Generation != made.Generation {
		return fmt.Errorf("applying the same again makes generation %d of %d", same.Generation, made.Generation)
	}
	_, err = deployments.Apply(ctx, deploymentApply(e.namespace, "example/web:2"), metav1.ApplyOptions{FieldManager: "two"})
	if !apierrors.IsConflict(err) || !apierrors.HasStatusCause(err, metav1.CauseTypeFieldManagerConflict) {
		return fmt.Errorf("not a conflict of managers but %v", err)
	}
	forced, err := deployments.Apply(ctx, deploymentApply(e.namespace, "example/web:2"),
		metav1.ApplyOptions{FieldManager: "two", Force: true})
	if err != nil {
		return err
	}
	if forced.Spec.Template.Spec.Containers[0].Image != "example/web:2" {
		return fmt.Errorf("force did not change the image")
	}
	for _, manager := range []string{"one", "two"} {
		less := deploymentApply(e.namespace, "example/web:2")
		less.Spec.Template.Spec.Containers = less.Spec.Template.Spec.Containers[:1]
		if forced, err = deployments.Apply(ctx, less, metav1.ApplyOptions{FieldManager: manager, Force: true}); err != nil {
			return err
		}
	}
	return expect(len(forced.Spec.Template.Spec.Containers) == 1, "the container that nobody applies stays")
}

// applyExtracts: what a manager owns comes back from managedFields as an apply configuration.
func applyExtracts(ctx context.Context, e *env) error {
	deployments := e.client.AppsV1().Deployments(e.namespace)
	made, err := deployments.Apply(ctx, deploymentApply(e.namespace, "example/web:1"), metav1.ApplyOptions{FieldManager: "one"})
	if err != nil {
		return err
	}
	extracted, err := appsapply.ExtractDeployment(made, "one")
	if err != nil {
		return err
	}
	spec := extracted.Spec.Template.Spec
	if len(spec.Containers) != 2 || *spec.Containers[0].Image != "example/web:1" || spec.Containers[0].ImagePullPolicy != nil {
		return fmt.Errorf("extracted is %+v", spec.Containers)
	}
	extracted.Spec.WithReplicas(3)
	changed, err := deployments.Apply(ctx, extracted, metav1.ApplyOptions{FieldManager: "one"})
	if err != nil {
		return err
	}
	return expect(*changed.Spec.Replicas == 3, "replicas are %d", *changed.Spec.Replicas)
}

func applyStatus(ctx context.Context, e *env) error {
	pods := e.client.CoreV1().Pods(e.namespace)
	if _, err := pods.Create(ctx, pod("gated", func(p *corev1.Pod) {
		p.Spec.SchedulingGates = []corev1.PodSchedulingGate{{Name: "example.com/wait"}}
	}), metav1.CreateOptions{}); err != nil {
		return err
	}
	status := coreapply.Pod("gated", e.namespace).WithStatus(coreapply.PodStatus().WithConditions(
		coreapply.PodCondition().WithType("example.com/checked").WithStatus(corev1.ConditionTrue)))
	got, err := pods.ApplyStatus(ctx, status, metav1.ApplyOptions{FieldManager: "checker"})
	if err != nil {
		return err
	}
	for _, m := range got.ManagedFields {
		if m.Manager == "checker" && m.Subresource == "status" {
			return nil
		}
	}
	return fmt.Errorf("no entry for the status: %v", got.ManagedFields)
}

func applyDynamic(ctx context.Context, e *env) error {
	client, err := dynamic.NewForConfig(e.config)
	if err != nil {
		return err
	}
	maps := client.Resource(configMaps).Namespace(e.namespace)
	object := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1", "kind": "ConfigMap",
		"metadata": map[string]any{"name": "settings", "namespace": e.namespace},
		"data":     map[string]any{"a": "1", "b": "2"},
	}}
	if _, err := maps.Apply(ctx, "settings", object, metav1.ApplyOptions{FieldManager: "one"}); err != nil {
		return err
	}
	// A client-side writer takes one field, which the next apply then contests.
	if _, err := maps.Patch(ctx, "settings", types.MergePatchType, []byte(`{"data":{"a":"9"}}`), metav1.PatchOptions{FieldManager: "hand"}); err != nil {
		return err
	}
	if _, err = maps.Apply(ctx, "settings", object, metav1.ApplyOptions{FieldManager: "one"}); !apierrors.IsConflict(err) {
		return fmt.Errorf("not a conflict but %v", err)
	}
	unstructured.RemoveNestedField(object.Object, "data", "a")
	got, err := maps.Apply(ctx, "settings", object, metav1.ApplyOptions{FieldManager: "one"})
	if err != nil {
		return err
	}
	data, _, _ := unstructured.NestedStringMap(got.Object, "data")
	return expect(data["a"] == "9" && data["b"] == "2", "data is %v", data)
}

func pod(name string, more ...func(*corev1.Pod)) *corev1.Pod {
	p := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"app": name}},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "main", Image: "example/main:1"}}},
	}
	for _, change := range more {
		change(p)
	}
	return p
}

func deployment(name string, replicas int32) *appsv1.Deployment {
	labels := map[string]string{"app": name}
	return &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: appsv1.DeploymentSpec{
			Replicas: &replicas,
			Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: pod(name).Spec},
		},
	}
}
