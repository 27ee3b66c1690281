package main

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	ctrlconfig "sigs.k8s.io/controller-runtime/pkg/config"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"
)

var operatorChecks = []check{{"controller-runtime", operator}}

const held = "example.com/anchor"

// harbour keeps a config map for each boat, tells so in the boat's status, and notes what it cleaned up.
type harbour struct {
	client.Client
	group   string
	cleaned chan string
}

func (h *harbour) boatKind() schema.GroupVersionKind {
	return schema.GroupVersionKind{Group: h.group, Version: "v1", Kind: "Boat"}
}

func (h *harbour) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	one := &unstructured.Unstructured{}
	one.SetGroupVersionKind(h.boatKind())
	if err := h.Get(ctx, request.NamespacedName, one); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	if !one.GetDeletionTimestamp().IsZero() {
		if controllerutil.RemoveFinalizer(one, held) {
			if err := h.Update(ctx, one); err != nil {
				return ctrl.Result{}, err
			}
			h.cleaned <- one.GetName()
		}
		return ctrl.Result{}, nil
	}
	if controllerutil.AddFinalizer(one, held) {
		return ctrl.Result{}, h.Update(ctx, one)
	}
	papers := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: one.GetName() + "-papers", Namespace: one.GetNamespace()}}
	if _, err := controllerutil.CreateOrUpdate(ctx, h.Client, papers, func() error {
		sail, _, _ := unstructured.NestedString(one.Object, "spec", "sail")
		papers.Data = map[string]string{"sail": sail}
		return controllerutil.SetControllerReference(one, papers, h.Scheme())
	}); err != nil {
		return ctrl.Result{}, err
	}
	if phase, _, _ := unstructured.NestedString(one.Object, "status", "phase"); phase == "Moored" {
		return ctrl.Result{}, nil
	}
	before := one.DeepCopy()
	_ = unstructured.SetNestedField(one.Object, "Moored", "status", "phase")
	return ctrl.Result{}, h.Status().Patch(ctx, one, client.MergeFrom(before))
}

// operator runs a manager with caches, leader election and a controller over a CRD, as operators do.
func operator(ctx context.Context, e *env) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	group := e.namespace + ".example.com"
	remove, err := define(ctx, e, definition(group))
	if err != nil {
		return err
	}
	defer remove()
	unnamed := true
	manager, err := ctrl.NewManager(e.config, ctrl.Options{
		Metrics: server.Options{BindAddress: "0"}, HealthProbeBindAddress: "0",
		LeaderElection: true, LeaderElectionID: "harbour", LeaderElectionNamespace: e.namespace, LeaderElectionReleaseOnCancel: true,
		Cache:      cache.Options{DefaultNamespaces: map[string]cache.Config{e.namespace: {}}},
		Controller: ctrlconfig.Controller{SkipNameValidation: &unnamed},
	})
	if err != nil {
		return err
	}
	h := &harbour{Client: manager.GetClient(), group: group, cleaned: make(chan string, 10)}
	kind := &unstructured.Unstructured{}
	kind.SetGroupVersionKind(h.boatKind())
	if err := ctrl.NewControllerManagedBy(manager).Named("harbour").For(kind).Owns(&corev1.ConfigMap{}).Complete(h); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- manager.Start(ctx) }()
	direct, err := client.New(e.config, client.Options{Scheme: manager.GetScheme()})
	if err != nil {
		return err
	}
	made := boat(group, "one", map[string]any{"sail": "red"})
	made.SetNamespace(e.namespace)
	if err := direct.Create(ctx, made); err != nil {
		return err
	}
	if err := h.follows(ctx, direct, made); err != nil {
		return err
	}
	cancel()
	select {
	case err := <-ended:
		return err
	case <-time.After(10 * time.Second):
		return fmt.Errorf("the manager does not end")
	}
}

// follows changes a boat, deletes what belongs to it, and deletes the boat: the operator mends, then lets go.
func (h *harbour) follows(ctx context.Context, direct client.Client, made *unstructured.Unstructured) error {
	papers := &corev1.ConfigMap{}
	key := client.ObjectKey{Namespace: made.GetNamespace(), Name: "one-papers"}
	shows := func(sail string) error {
		return eventually(ctx, "papers of a "+sail+" sail and a moored boat", func(ctx context.Context) (bool, error) {
			if err := direct.Get(ctx, key, papers); err != nil {
				return false, err
			}
			if err := direct.Get(ctx, client.ObjectKeyFromObject(made), made); err != nil {
				return false, err
			}
			phase, _, _ := unstructured.NestedString(made.Object, "status", "phase")
			return papers.Data["sail"] == sail && phase == "Moored", nil
		})
	}
	if err := shows("red"); err != nil {
		return err
	}
	if owner := metav1.GetControllerOf(papers); owner == nil || owner.UID != made.GetUID() {
		return fmt.Errorf("the papers belong to %v", owner)
	}
	patched := made.DeepCopy()
	_ = unstructured.SetNestedField(patched.Object, "blue", "spec", "sail")
	if err := direct.Patch(ctx, patched, client.MergeFromWithOptions(made, client.MergeFromWithOptimisticLock{})); err != nil {
		return err
	}
	if err := shows("blue"); err != nil {
		return err
	}
	uid := papers.UID
	if err := direct.Delete(ctx, papers); err != nil {
		return err
	}
	if err := shows("blue"); err != nil {
		return err
	}
	if papers.UID == uid {
		return fmt.Errorf("the papers were not made anew")
	}
	if err := direct.Delete(ctx, made); err != nil {
		return err
	}
	select {
	case <-h.cleaned:
	case <-time.After(10 * time.Second):
		return fmt.Errorf("the finalizer was not run")
	}
	return eventually(ctx, "the papers are collected", func(ctx context.Context) (bool, error) {
		err := direct.Get(ctx, key, papers)
		return err != nil && client.IgnoreNotFound(err) == nil, client.IgnoreNotFound(err)
	})
}
