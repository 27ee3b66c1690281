package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"sync"

	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes/scheme"
	typedcore "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/restmapper"
	"k8s.io/client-go/scale"
	"k8s.io/client-go/tools/events"
	"k8s.io/client-go/tools/record"
	"k8s.io/client-go/util/retry"
)

var writeChecks = []check{
	{"retry-on-conflict", retryOnConflict},
	{"patch-types", patchTypes},
	{"delete-options", deleteOptions},
	{"dry-run-and-validation", dryRun},
	{"scale-client", scaleClient},
	{"event-recorders", eventRecorders},
}

// retryOnConflict: many writers of one object, none of whose increments is lost.
func retryOnConflict(ctx context.Context, e *env) error {
	maps := e.client.CoreV1().ConfigMaps(e.namespace)
	if _, err := maps.Create(ctx, configMap("counter", map[string]string{"n": "0"}), metav1.CreateOptions{}); err != nil {
		return err
	}
	const writers, each = 8, 10
	var group sync.WaitGroup
	failures := make(chan error, writers*each)
	for range writers {
		group.Go(func() {
			for range each {
				patience := retry.DefaultBackoff
				patience.Steps = 100
				patience.Factor = 1.1
				failures <- retry.RetryOnConflict(patience, func() error {
					m, err := maps.Get(ctx, "counter", metav1.GetOptions{})
					if err != nil {
						return err
					}
					n, _ := strconv.Atoi(m.Data["n"])
					m.Data["n"] = strconv.Itoa(n + 1)
					_, err = maps.Update(ctx, m, metav1.UpdateOptions{})
					return err
				})
			}
		})
	}
	group.Wait()
	close(failures)
	for err := range failures {
		if err != nil {
			return err
		}
	}
	m, err := maps.Get(ctx, "counter", metav1.GetOptions{})
	if err != nil {
		return err
	}
	return expect(m.Data["n"] == strconv.Itoa(writers*each), "the counter is %s", m.Data["n"])
}

func patchTypes(ctx context.Context, e *env) error {
	deployments := e.client.AppsV1().Deployments(e.namespace)
	if _, err := deployments.Create(ctx, deployment("web", 0), metav1.CreateOptions{}); err != nil {
		return err
	}
	patches := []struct {
		kind types.PatchType
		body string
	}{
		{types.StrategicMergePatchType, `{"spec":{"template":{"spec":{"containers":[{"name":"two","image":"example/two:1"}]}}}}`},
		{types.JSONPatchType, `[{"op":"test","path":"/spec/replicas","value":0},{"op":"add","path":"/metadata/labels","value":{"a":"b"}}]`},
		{types.MergePatchType, `{"metadata":{"annotations":{"c":"d"}}}`},
		{types.ApplyPatchType, `{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"web","labels":{"e":"f"}}}`},
	}
	for _, p := range patches {
		options := metav1.PatchOptions{FieldManager: "patcher"}
		if _, err := deployments.Patch(ctx, "web", p.kind, []byte(p.body), options); err != nil {
			return fmt.Errorf("%s: %w", p.kind, err)
		}
	}
	got, err := deployments.Get(ctx, "web", metav1.GetOptions{})
	if err != nil {
		return err
	}
	if len(got.Spec.Template.Spec.Containers) != 2 || got.Labels["a"] != "b" || got.Annotations["c"] != "d" || got.Labels["e"] != "f" {
		return fmt.Errorf("after the patches: %v", got)
	}
	_, err = deployments.Patch(ctx, "web", types.JSONPatchType, []byte(`[{"op":"test","path":"/spec/replicas","value":7}]`), metav1.PatchOptions{})
	if !apierrors.IsInvalid(err) {
		return fmt.Errorf("a test that fails is not Invalid but %v", err)
	}
	_, err = deployments.Patch(ctx, "absent", types.MergePatchType, []byte(`{}`), metav1.PatchOptions{})
	return expect(apierrors.IsNotFound(err), "a patch of nothing is not NotFound but %v", err)
}

func deleteOptions(ctx context.Context, e *env) error {
	maps := e.client.CoreV1().ConfigMaps(e.namespace)
	kept := configMap("kept", nil)
	kept.Finalizers = []string{"example.com/hold"}
	made, err := maps.Create(ctx, kept, metav1.CreateOptions{})
	if err != nil {
		return err
	}
	err = maps.Delete(ctx, "kept", *metav1.NewPreconditionDeleteOptions("another"))
	if !apierrors.IsConflict(err) {
		return fmt.Errorf("another uid is not a Conflict but %v", err)
	}
	if err := maps.Delete(ctx, "kept", *metav1.NewPreconditionDeleteOptions(string(made.UID))); err != nil {
		return err
	}
	going, err := maps.Get(ctx, "kept", metav1.GetOptions{})
	if err != nil || going.DeletionTimestamp == nil {
		return fmt.Errorf("a finalizer does not hold (%v)", err)
	}
	going.Finalizers = nil
	if _, err := maps.Update(ctx, going, metav1.UpdateOptions{}); err != nil {
		return err
	}
	if _, err := maps.Get(ctx, "kept", metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		return fmt.Errorf("without finalizers it stays: %v", err)
	}
	for _, name := range []string{"a", "b", "c"} {
		if _, err := maps.Create(ctx, configMap(name, nil), metav1.CreateOptions{}); err != nil {
			return err
		}
	}
	if err := maps.DeleteCollection(ctx, metav1.DeleteOptions{}, metav1.ListOptions{LabelSelector: "by=clients", FieldSelector: "metadata.name!=b"}); err != nil {
		return err
	}
	left, err := maps.List(ctx, metav1.ListOptions{LabelSelector: "by=clients"})
	if err != nil {
		return err
	}
	if len(left.Items) != 1 || left.Items[0].Name != "b" {
		return fmt.Errorf("left over: %v", left.Items)
	}
	return cascades(ctx, e)
}

// cascades: orphaned pods stay, those in the foreground go before their owner.
func cascades(ctx context.Context, e *env) error {
	sets := e.client.AppsV1().ReplicaSets(e.namespace)
	deployments := e.client.AppsV1().Deployments(e.namespace)
	if _, err := deployments.Create(ctx, deployment("web", 1), metav1.CreateOptions{}); err != nil {
		return err
	}
	count := func(want int) error {
		return eventually(ctx, fmt.Sprintf("%d replica sets", want), func(ctx context.Context) (bool, error) {
			list, err := sets.List(ctx, metav1.ListOptions{})
			return err == nil && len(list.Items) == want, err
		})
	}
	if err := count(1); err != nil {
		return err
	}
	orphan, foreground := metav1.DeletePropagationOrphan, metav1.DeletePropagationForeground
	if err := deployments.Delete(ctx, "web", metav1.DeleteOptions{PropagationPolicy: &orphan}); err != nil {
		return err
	}
	if err := eventually(ctx, "the owner goes", func(ctx context.Context) (bool, error) {
		_, err := deployments.Get(ctx, "web", metav1.GetOptions{})
		return apierrors.IsNotFound(err), nil
	}); err != nil {
		return err
	}
	list, err := sets.List(ctx, metav1.ListOptions{})
	if err != nil || len(list.Items) != 1 || len(list.Items[0].OwnerReferences) != 0 {
		return fmt.Errorf("the orphan is not left alone: %v (%v)", list.Items, err)
	}
	if err := sets.Delete(ctx, list.Items[0].Name, metav1.DeleteOptions{PropagationPolicy: &foreground}); err != nil {
		return err
	}
	return count(0)
}

func dryRun(ctx context.Context, e *env) error {
	maps := e.client.CoreV1().ConfigMaps(e.namespace)
	made, err := maps.Create(ctx, configMap("ghost", nil), metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
	if err != nil || made.UID == "" {
		return fmt.Errorf("a dry run answers %v (%v)", made, err)
	}
	if _, err := maps.Get(ctx, "ghost", metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		return fmt.Errorf("a dry run is stored: %v", err)
	}
	raw := map[string]any{"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{"name": "odd"}, "extra": 1}
	body, _ := json.Marshal(raw)
	post := func(validation string) error {
		return e.client.CoreV1().RESTClient().Post().Namespace(e.namespace).Resource("configmaps").
			Param("fieldValidation", validation).SetHeader("Content-Type", "application/json").Body(body).Do(ctx).Error()
	}
	if err := post("Strict"); !apierrors.IsBadRequest(err) {
		return fmt.Errorf("an unknown field in a strict create is not a BadRequest but %v", err)
	}
	if err := post("Ignore"); err != nil {
		return err
	}
	_, err = maps.Create(ctx, configMap("Bad_Name", nil), metav1.CreateOptions{})
	return expect(apierrors.IsInvalid(err), "a bad name is not Invalid but %v", err)
}

// scaleClient scales by discovery, as the autoscaler does.
func scaleClient(ctx context.Context, e *env) error {
	if _, err := e.client.AppsV1().Deployments(e.namespace).Create(ctx, deployment("web", 1), metav1.CreateOptions{}); err != nil {
		return err
	}
	found, err := discovery.NewDiscoveryClientForConfig(e.config)
	if err != nil {
		return err
	}
	mapper := restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(found))
	client, err := scale.NewForConfig(e.config, mapper, dynamic.LegacyAPIPathResolverFunc, scale.NewDiscoveryScaleKindResolver(found))
	if err != nil {
		return err
	}
	what := schema.GroupResource{Group: "apps", Resource: "deployments"}
	got, err := client.Scales(e.namespace).Get(ctx, what, "web", metav1.GetOptions{})
	if err != nil {
		return err
	}
	if got.Status.Selector != "app=web" || got.Spec.Replicas != 1 {
		return fmt.Errorf("the scale is %+v", got)
	}
	// The deployment's own controller writes at the same time.
	if err := retry.RetryOnConflict(retry.DefaultRetry, func() error {
		if got, err = client.Scales(e.namespace).Get(ctx, what, "web", metav1.GetOptions{}); err != nil {
			return err
		}
		got.Spec.Replicas = 3
		_, err = client.Scales(e.namespace).Update(ctx, what, got, metav1.UpdateOptions{})
		return err
	}); err != nil {
		return err
	}
	patched, err := client.Scales(e.namespace).Patch(ctx, what.WithVersion("v1"), "web", types.MergePatchType, []byte(`{"spec":{"replicas":2}}`), metav1.PatchOptions{})
	if err != nil {
		return err
	}
	return expect(patched.Spec.Replicas == 2, "replicas are %d", patched.Spec.Replicas)
}

// eventRecorders: the recorders of both groups write events that either group reads; repeats are counted.
func eventRecorders(ctx context.Context, e *env) error {
	m, err := e.client.CoreV1().ConfigMaps(e.namespace).Create(ctx, configMap("about", nil), metav1.CreateOptions{})
	if err != nil {
		return err
	}
	old := record.NewBroadcaster()
	defer old.Shutdown()
	old.StartRecordingToSink(&typedcore.EventSinkImpl{Interface: e.client.CoreV1().Events(e.namespace)})
	recorder := old.NewRecorder(scheme.Scheme, corev1.EventSource{Component: "clients"})
	for range 3 {
		recorder.Event(m, corev1.EventTypeNormal, "Old", "from the core group")
	}
	modern := events.NewBroadcaster(&events.EventSinkImpl{Interface: e.client.EventsV1()})
	defer modern.Shutdown()
	if err := modern.StartRecordingToSinkWithContext(ctx); err != nil {
		return err
	}
	modern.NewRecorder(scheme.Scheme, "example.com/clients").Eventf(m, nil, corev1.EventTypeNormal, "New", "Testing", "from the events group")
	if err := eventually(ctx, "the counted event", func(ctx context.Context) (bool, error) {
		list, err := e.client.CoreV1().Events(e.namespace).List(ctx, metav1.ListOptions{FieldSelector: "reason=Old,involvedObject.name=about"})
		return err == nil && len(list.Items) == 1 && list.Items[0].Count == 3, err
	}); err != nil {
		return err
	}
	return eventually(ctx, "both events in the events group", func(ctx context.Context) (bool, error) {
		list, err := e.client.EventsV1().Events(e.namespace).List(ctx, metav1.ListOptions{})
		if err != nil {
			return false, err
		}
		byReason := map[string]eventsv1.Event{}
		for _, one := range list.Items {
			byReason[one.Reason] = one
		}
		return byReason["New"].Action == "Testing" && byReason["Old"].DeprecatedCount == 3 && byReason["New"].Regarding.Name == "about", nil
	})
}
