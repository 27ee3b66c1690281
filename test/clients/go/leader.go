package main

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
)

var leaderChecks = []check{{"leader-election", leaders}}

// leaders: of two candidates one leads; when it dies without a word the other takes over, and never do two lead.
func leaders(ctx context.Context, e *env) error {
	var leading, together atomic.Int32
	leads := make(chan string, 4)
	var group sync.WaitGroup
	candidate := func(id string, release bool) (context.CancelFunc, error) {
		client, err := kubernetes.NewForConfig(e.config)
		if err != nil {
			return nil, err
		}
		own, stop := context.WithCancel(ctx)
		elector, err := leaderelection.NewLeaderElector(leaderelection.LeaderElectionConfig{
			Lock: &resourcelock.LeaseLock{
				LeaseMeta:  metav1.ObjectMeta{Name: "the-lock", Namespace: e.namespace},
				Client:     client.CoordinationV1(),
				LockConfig: resourcelock.ResourceLockConfig{Identity: id},
			},
			LeaseDuration: 2 * time.Second, RenewDeadline: 1500 * time.Millisecond, RetryPeriod: 300 * time.Millisecond,
			ReleaseOnCancel: release,
			Callbacks: leaderelection.LeaderCallbacks{
				OnStartedLeading: func(context.Context) {
					if leading.Add(1) > 1 {
						together.Add(1)
					}
					leads <- id
				},
				OnStoppedLeading: func() {},
			},
		})
		if err != nil {
			stop()
			return nil, err
		}
		group.Add(1)
		go func() {
			defer group.Done()
			elector.Run(own)
		}()
		return stop, nil
	}
	next := func() (string, error) {
		select {
		case id := <-leads:
			return id, nil
		case <-time.After(15 * time.Second):
			return "", fmt.Errorf("nobody leads")
		}
	}
	stops := map[string]context.CancelFunc{}
	for _, id := range []string{"a", "b"} {
		stop, err := candidate(id, id == "b")
		if err != nil {
			return err
		}
		defer stop()
		stops[id] = stop
	}
	first, err := next()
	if err != nil {
		return err
	}
	leading.Add(-1)
	stops[first]()
	second, err := next()
	if err != nil {
		return err
	}
	leading.Add(-1)
	stops[second]()
	group.Wait()
	if first == second || together.Load() > 0 {
		return fmt.Errorf("%s led, then %s; %d times together", first, second, together.Load())
	}
	lease, err := e.client.CoordinationV1().Leases(e.namespace).Get(ctx, "the-lock", metav1.GetOptions{})
	if err != nil {
		return err
	}
	return expect(transitions(lease) >= 1, "the lease counts %d transitions", transitions(lease))
}

func transitions(lease *coordinationv1.Lease) int32 {
	if lease.Spec.LeaseTransitions == nil {
		return 0
	}
	return *lease.Spec.LeaseTransitions
}
