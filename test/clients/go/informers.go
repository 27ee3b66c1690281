package main

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/dynamic/dynamicinformer"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/metadata/metadatainformer"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
)

var configMaps = schema.GroupVersionResource{Version: "v1", Resource: "configmaps"}

// seen counts what an informer tells of objects by name: "add NAME", "update NAME", "delete NAME".
type seen struct {
	sync.Mutex
	counts map[string]int
}

func (s *seen) note(what string, object any) {
	if gone, ok := object.(cache.DeletedFinalStateUnknown); ok {
		object = gone.Obj
	}
	m, err := meta.Accessor(object)
	if err != nil {
		return
	}
	s.Lock()
	defer s.Unlock()
	s.counts[what+" "+m.GetName()]++
}

func (s *seen) count(what string) int {
	s.Lock()
	defer s.Unlock()
	return s.counts[what]
}

func watching(informer cache.SharedIndexInformer) (*seen, error) {
	s := &seen{counts: map[string]int{}}
	_, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(o any) { s.note("add", o) },
		UpdateFunc: func(_, o any) { s.note("update", o) },
		DeleteFunc: func(o any) { s.note("delete", o) },
	})
	return s, err
}

// requests records the queries of an informer, to prove that it streams its list.
type requests struct {
	sync.Mutex
	next    http.RoundTripper
	queries []string
	accepts []string
}

func (r *requests) RoundTrip(request *http.Request) (*http.Response, error) {
	r.Lock()
	r.queries = append(r.queries, request.URL.RawQuery)
	r.accepts = append(r.accepts, request.Header.Get("Accept"))
	r.Unlock()
	return r.next.RoundTrip(request)
}

func recorded(config *rest.Config) (*rest.Config, *requests) {
	c := rest.CopyConfig(config)
	r := &requests{}
	c.Wrap(func(next http.RoundTripper) http.RoundTripper {
		r.next = next
		return r
	})
	return c, r
}

func configMap(name string, data map[string]string) *corev1.ConfigMap {
	return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"by": "clients"}}, Data: data}
}

// follow runs an informer over config maps through creations, an update and a deletion.
func follow(ctx context.Context, e *env, informer cache.SharedIndexInformer, r *requests) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	maps := e.client.CoreV1().ConfigMaps(e.namespace)
	if _, err := maps.Create(ctx, configMap("before", nil), metav1.CreateOptions{}); err != nil {
		return err
	}
	told, err := watching(informer)
	if err != nil {
		return err
	}
	go informer.Run(ctx.Done())
	if !cache.WaitForCacheSync(ctx.Done(), informer.HasSynced) {
		return fmt.Errorf("the informer did not sync")
	}
	if err := expect(told.count("add before") == 1 || !informer.HasSynced(), "synced without what was there"); err != nil {
		time.Sleep(100 * time.Millisecond)
		if told.count("add before") != 1 {
			return err
		}
	}
	after, err := maps.Create(ctx, configMap("after", map[string]string{"n": "1"}), metav1.CreateOptions{})
	if err != nil {
		return err
	}
	after.Data["n"] = "2"
	if _, err := maps.Update(ctx, after, metav1.UpdateOptions{}); err != nil {
		return err
	}
	if err := maps.Delete(ctx, "before", metav1.DeleteOptions{}); err != nil {
		return err
	}
	for _, what := range []string{"add after", "update after", "delete before"} {
		if err := eventually(ctx, what, func(context.Context) (bool, error) { return told.count(what) == 1, nil }); err != nil {
			return err
		}
	}
	if _, there, err := informer.GetStore().GetByKey(e.namespace + "/before"); err != nil || there {
		return fmt.Errorf("a deleted object is still in the store (%v)", err)
	}
	r.Lock()
	defer r.Unlock()
	if len(r.queries) != 1 {
		return fmt.Errorf("one streaming list was expected, these were asked: %v", r.queries)
	}
	return nil
}

func typed(ctx context.Context, e *env, config *rest.Config) error {
	c, r := recorded(config)
	client, err := kubernetes.NewForConfig(c)
	if err != nil {
		return err
	}
	factory := informers.NewSharedInformerFactoryWithOptions(client, 0, informers.WithNamespace(e.namespace),
		informers.WithTweakListOptions(func(o *metav1.ListOptions) { o.LabelSelector = "by=clients" }))
	return follow(ctx, e, factory.Core().V1().ConfigMaps().Informer(), r)
}

var informerChecks = []check{
	{"informer-protobuf", func(ctx context.Context, e *env) error { return typed(ctx, e, protobuf(e.config)) }},
	{"informer-json", func(ctx context.Context, e *env) error {
		c := rest.CopyConfig(e.config)
		c.ContentType = "application/json"
		return typed(ctx, e, c)
	}},
	{"informer-dynamic", func(ctx context.Context, e *env) error {
		c, r := recorded(e.config)
		client, err := dynamic.NewForConfig(c)
		if err != nil {
			return err
		}
		factory := dynamicinformer.NewFilteredDynamicSharedInformerFactory(client, 0, e.namespace,
			func(o *metav1.ListOptions) { o.LabelSelector = "by=clients" })
		return follow(ctx, e, factory.ForResource(configMaps).Informer(), r)
	}},
	{"informer-metadata", func(ctx context.Context, e *env) error {
		c, r := recorded(e.config)
		client, err := metadata.NewForConfig(c)
		if err != nil {
			return err
		}
		factory := metadatainformer.NewFilteredSharedInformerFactory(client, 0, e.namespace,
			func(o *metav1.ListOptions) { o.LabelSelector = "by=clients" })
		return follow(ctx, e, factory.ForResource(configMaps).Informer(), r)
	}},
	{"informer-of-many-kinds", manyKinds},
}

// manyKinds syncs informers of many kinds over one connection, as a controller manager does.
func manyKinds(ctx context.Context, e *env) error {
	factory := informers.NewSharedInformerFactory(e.client, 0)
	core, apps, rbac := factory.Core().V1(), factory.Apps().V1(), factory.Rbac().V1()
	all := []cache.SharedIndexInformer{
		core.Pods().Informer(), core.Services().Informer(), core.Endpoints().Informer(), core.Nodes().Informer(),
		core.Namespaces().Informer(), core.Secrets().Informer(), core.ServiceAccounts().Informer(), core.Events().Informer(),
		core.PersistentVolumes().Informer(), core.PersistentVolumeClaims().Informer(), core.ResourceQuotas().Informer(),
		core.LimitRanges().Informer(), core.ReplicationControllers().Informer(), core.PodTemplates().Informer(),
		apps.Deployments().Informer(), apps.ReplicaSets().Informer(), apps.StatefulSets().Informer(),
		apps.DaemonSets().Informer(), apps.ControllerRevisions().Informer(), factory.Batch().V1().Jobs().Informer(),
		factory.Batch().V1().CronJobs().Informer(), factory.Autoscaling().V2().HorizontalPodAutoscalers().Informer(),
		factory.Autoscaling().V1().HorizontalPodAutoscalers().Informer(), rbac.Roles().Informer(),
		rbac.RoleBindings().Informer(), rbac.ClusterRoles().Informer(), rbac.ClusterRoleBindings().Informer(),
		factory.Networking().V1().Ingresses().Informer(), factory.Networking().V1().IngressClasses().Informer(),
		factory.Networking().V1().NetworkPolicies().Informer(), factory.Networking().V1().IPAddresses().Informer(),
		factory.Networking().V1().ServiceCIDRs().Informer(), factory.Policy().V1().PodDisruptionBudgets().Informer(),
		factory.Storage().V1().StorageClasses().Informer(), factory.Storage().V1().CSIDrivers().Informer(),
		factory.Storage().V1().CSINodes().Informer(), factory.Storage().V1().VolumeAttachments().Informer(),
		factory.Storage().V1().CSIStorageCapacities().Informer(), factory.Storage().V1().VolumeAttributesClasses().Informer(),
		factory.Scheduling().V1().PriorityClasses().Informer(), factory.Coordination().V1().Leases().Informer(),
		factory.Discovery().V1().EndpointSlices().Informer(), factory.Events().V1().Events().Informer(),
		factory.Certificates().V1().CertificateSigningRequests().Informer(), factory.Node().V1().RuntimeClasses().Informer(),
		factory.Flowcontrol().V1().FlowSchemas().Informer(),
		factory.Flowcontrol().V1().PriorityLevelConfigurations().Informer(),
		factory.Admissionregistration().V1().ValidatingWebhookConfigurations().Informer(),
		factory.Admissionregistration().V1().MutatingWebhookConfigurations().Informer(),
		factory.Admissionregistration().V1().ValidatingAdmissionPolicies().Informer(),
		factory.Resource().V1().ResourceClaims().Informer(), factory.Resource().V1().ResourceSlices().Informer(),
		factory.Resource().V1().DeviceClasses().Informer(), factory.Resource().V1().ResourceClaimTemplates().Informer(),
	}
	ctx, cancel := context.WithCancel(ctx)
	defer factory.Shutdown()
	defer cancel()
	factory.Start(ctx.Done())
	bounded, stop := context.WithTimeout(ctx, 20*time.Second)
	defer stop()
	for kind, synced := range factory.WaitForCacheSync(bounded.Done()) {
		if !synced {
			return fmt.Errorf("the informer of %v did not sync", kind)
		}
	}
	return expect(len(all) > 50, "informers are missing")
}
