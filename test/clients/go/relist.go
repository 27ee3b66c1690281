package main

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	watchtools "k8s.io/client-go/tools/watch"
)

var relistChecks = []check{
	{"watch-expired", watchExpired},
	{"informer-relists-after-410", relistAfterGone},
	{"retry-watcher", retryWatcher},
	{"informer-after-restart", afterRestart},
}

// watchExpired: a watch from a revision that is no longer kept ends with 410 Expired.
func watchExpired(ctx context.Context, e *env) error {
	w, err := e.client.CoreV1().ConfigMaps(e.namespace).Watch(ctx, metav1.ListOptions{ResourceVersion: "1"})
	if apierrors.IsResourceExpired(err) {
		return nil
	}
	if err != nil {
		return err
	}
	defer w.Stop()
	event := <-w.ResultChan()
	if event.Type != watch.Error || !apierrors.IsResourceExpired(apierrors.FromObject(event.Object)) {
		return fmt.Errorf("not Expired but %v %v", event.Type, event.Object)
	}
	return nil
}

// relistAfterGone hands a reflector a revision that is too old once, and looks that it lists again.
func relistAfterGone(ctx context.Context, e *env) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	maps := e.client.CoreV1().ConfigMaps(e.namespace)
	var lists, watches atomic.Int32
	source := &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			lists.Add(1)
			return maps.List(ctx, o)
		},
		WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			if o.SendInitialEvents != nil && *o.SendInitialEvents {
				lists.Add(1)
			} else if watches.Add(1) == 1 {
				o.ResourceVersion = "1"
			}
			if lists.Load() == 1 && watches.Load() == 0 {
				// Ends soon, so that a watch from a revision follows.
				second := int64(1)
				o.TimeoutSeconds = &second
			}
			return maps.Watch(ctx, o)
		},
	}
	informer := cache.NewSharedIndexInformer(source, &corev1.ConfigMap{}, 0, cache.Indexers{})
	told, err := watching(informer)
	if err != nil {
		return err
	}
	go informer.Run(ctx.Done())
	if !cache.WaitForCacheSync(ctx.Done(), informer.HasSynced) {
		return fmt.Errorf("the informer did not sync")
	}
	if err := eventually(ctx, "a second list", func(context.Context) (bool, error) { return lists.Load() >= 2, nil }); err != nil {
		return err
	}
	if _, err := maps.Create(ctx, configMap("late", nil), metav1.CreateOptions{}); err != nil {
		return err
	}
	return eventually(ctx, "add late", func(context.Context) (bool, error) { return told.count("add late") == 1, nil })
}

// retryWatcher goes on from the last revision where a watch was cut off, without loss and without repeats.
func retryWatcher(ctx context.Context, e *env) error {
	maps := e.client.CoreV1().ConfigMaps(e.namespace)
	list, err := maps.List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	second := int64(1)
	w, err := watchtools.NewRetryWatcherWithContext(ctx, list.ResourceVersion, &cache.ListWatch{
		WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			o.TimeoutSeconds = &second
			return maps.Watch(ctx, o)
		},
	})
	if err != nil {
		return err
	}
	defer w.Stop()
	const count = 30
	go func() {
		for i := range count {
			_, _ = maps.Create(ctx, configMap(fmt.Sprintf("c%02d", i), nil), metav1.CreateOptions{})
			time.Sleep(80 * time.Millisecond)
		}
	}()
	for i := range count {
		select {
		case event := <-w.ResultChan():
			m, ok := event.Object.(*corev1.ConfigMap)
			if !ok || event.Type != watch.Added || m.Name != fmt.Sprintf("c%02d", i) {
				return fmt.Errorf("event %d is %v %v", i, event.Type, event.Object)
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// afterRestart: informers that stood before the server's restart tell of what was made after it, once.
func afterRestart(ctx context.Context, e *env) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var told []*seen
	for _, config := range []*rest.Config{protobuf(e.config), e.config} {
		client, err := kubernetes.NewForConfig(config)
		if err != nil {
			return err
		}
		factory := informers.NewSharedInformerFactoryWithOptions(client, 0, informers.WithNamespace(e.namespace))
		informer := factory.Core().V1().ConfigMaps().Informer()
		s, err := watching(informer)
		if err != nil {
			return err
		}
		told = append(told, s)
		factory.Start(ctx.Done())
		factory.WaitForCacheSync(ctx.Done())
	}
	maps := e.client.CoreV1().ConfigMaps(e.namespace)
	if _, err := maps.Create(ctx, configMap("before", nil), metav1.CreateOptions{}); err != nil {
		return err
	}
	if err := e.restart(); err != nil {
		return err
	}
	if err := eventually(ctx, "a create after the restart", func(ctx context.Context) (bool, error) {
		_, err := maps.Create(ctx, configMap("after", nil), metav1.CreateOptions{})
		return err == nil || apierrors.IsAlreadyExists(err), err
	}); err != nil {
		return err
	}
	kept, err := maps.List(ctx, metav1.ListOptions{FieldSelector: fields.OneTermEqualSelector("metadata.name", "before").String()})
	if err != nil || len(kept.Items) != 1 {
		return fmt.Errorf("what was acknowledged before the restart is gone (%v)", err)
	}
	for i, s := range told {
		if err := eventually(ctx, fmt.Sprintf("informer %d tells of both", i), func(context.Context) (bool, error) {
			return s.count("add before") == 1 && s.count("add after") == 1, nil
		}); err != nil {
			return err
		}
	}
	return nil
}
