package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/portforward"
	"k8s.io/client-go/tools/remotecommand"
	"k8s.io/client-go/transport/spdy"

	authenticationv1 "k8s.io/api/authentication/v1"
)

var podChecks = []check{
	{"exec-websocket", func(ctx context.Context, e *env) error { return execs(ctx, e, webSocket) }},
	{"exec-spdy", func(ctx context.Context, e *env) error { return execs(ctx, e, spdyExecutor) }},
	{"exec-refused", execRefused},
	{"logs-and-port-forward", logsAndForward},
	{"eviction", eviction},
	{"ephemeral-containers", ephemeralContainers},
}

func asAccount(e *env, token string) (*kubernetes.Clientset, error) {
	return kubernetes.NewForConfig(accountConfig(e, token))
}

func accountConfig(e *env, token string) *rest.Config {
	c := rest.AnonymousClientConfig(e.config)
	c.BearerToken = token
	return c
}

// runningPod waits for a pod to run on one of the cluster's nodes.
func runningPod(ctx context.Context, e *env, name string) error {
	pods := e.client.CoreV1().Pods(e.namespace)
	if _, err := pods.Create(ctx, pod(name), metav1.CreateOptions{}); err != nil {
		return err
	}
	return eventually(ctx, "the pod runs", func(ctx context.Context) (bool, error) {
		p, err := pods.Get(ctx, name, metav1.GetOptions{})
		return err == nil && p.Status.Phase == corev1.PodRunning, err
	})
}

type executorOf func(*rest.Config, *rest.Request) (remotecommand.Executor, error)

func webSocket(c *rest.Config, r *rest.Request) (remotecommand.Executor, error) {
	return remotecommand.NewWebSocketExecutor(c, http.MethodGet, r.URL().String())
}

func spdyExecutor(c *rest.Config, r *rest.Request) (remotecommand.Executor, error) {
	return remotecommand.NewSPDYExecutor(c, http.MethodPost, r.URL())
}

func execRequest(e *env, client *kubernetes.Clientset, name string, command ...string) *rest.Request {
	return client.CoreV1().RESTClient().Post().Resource("pods").Namespace(e.namespace).Name(name).SubResource("exec").
		VersionedParams(&corev1.PodExecOptions{Command: command, Stdout: true, Stderr: true, Stdin: true}, scheme.ParameterCodec)
}

func execs(ctx context.Context, e *env, executor executorOf) error {
	if err := runningPod(ctx, e, "main"); err != nil {
		return err
	}
	run, err := executor(e.config, execRequest(e, e.client, "main", "echo", "hello"))
	if err != nil {
		return err
	}
	var out, errs bytes.Buffer
	if err := run.StreamWithContext(ctx, remotecommand.StreamOptions{Stdin: strings.NewReader("in\n"), Stdout: &out, Stderr: &errs}); err != nil {
		return err
	}
	if !strings.Contains(out.String(), "echo hello") {
		return fmt.Errorf("the output is %q, the errors %q", out.String(), errs.String())
	}
	run, err = executor(e.config, execRequest(e, e.client, "absent", "true"))
	if err != nil {
		return err
	}
	err = run.StreamWithContext(ctx, remotecommand.StreamOptions{Stdin: strings.NewReader(""), Stdout: &out, Stderr: &errs})
	return expect(err != nil && strings.Contains(err.Error(), `pods "absent" not found`), "a pod that is not there: %v", err)
}

// execRefused: both executors tell an account without rights that it is forbidden. SPDY posts and so needs the verb create;
// a WebSocket is opened by GET and needs create as well as get.
func execRefused(ctx context.Context, e *env) error {
	if err := runningPod(ctx, e, "main"); err != nil {
		return err
	}
	token, err := e.client.CoreV1().ServiceAccounts(e.namespace).CreateToken(ctx, "default", &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
	if err != nil {
		return err
	}
	config := accountConfig(e, token.Status.Token)
	attempt := func(executor executorOf) error {
		run, err := executor(config, execRequest(e, e.client, "main", "true"))
		if err != nil {
			return err
		}
		return run.StreamWithContext(ctx, remotecommand.StreamOptions{Stdin: strings.NewReader(""), Stdout: io.Discard, Stderr: io.Discard})
	}
	for name, executor := range map[string]executorOf{"websocket": webSocket, "spdy": spdyExecutor} {
		if err := attempt(executor); err == nil || !strings.Contains(err.Error(), "forbidden") {
			return fmt.Errorf("%s without rights: %v", name, err)
		}
	}
	both := map[string]executorOf{"websocket": webSocket, "spdy": spdyExecutor}
	for _, step := range []struct{ verb, may, mayNot string }{{"get", "", "websocket"}, {"create", "websocket", ""}} {
		if err := grantExec(ctx, e, step.verb); err != nil {
			return err
		}
		if step.may != "" {
			for name, executor := range both {
				if err := eventually(ctx, name+" with rights", func(context.Context) (bool, error) {
					err := attempt(executor)
					return err == nil, err
				}); err != nil {
					return err
				}
			}
		}
		if step.mayNot != "" {
			time.Sleep(300 * time.Millisecond)
			if err := attempt(both[step.mayNot]); err == nil || !strings.Contains(err.Error(), "forbidden") {
				return fmt.Errorf("%s with only get: %v", step.mayNot, err)
			}
		}
	}
	return nil
}

// grantExec lets the namespace's default account do one verb on pods/exec.
func grantExec(ctx context.Context, e *env, verb string) error {
	role := &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Name: verb}, Rules: []rbacv1.PolicyRule{
		{Verbs: []string{verb}, APIGroups: []string{""}, Resources: []string{"pods/exec"}}}}
	if _, err := e.client.RbacV1().Roles(e.namespace).Create(ctx, role, metav1.CreateOptions{}); err != nil {
		return err
	}
	binding := &rbacv1.RoleBinding{ObjectMeta: metav1.ObjectMeta{Name: verb},
		RoleRef:  rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: verb},
		Subjects: []rbacv1.Subject{{Kind: "ServiceAccount", Name: "default", Namespace: e.namespace}}}
	_, err := e.client.RbacV1().RoleBindings(e.namespace).Create(ctx, binding, metav1.CreateOptions{})
	return err
}

func logsAndForward(ctx context.Context, e *env) error {
	if err := runningPod(ctx, e, "main"); err != nil {
		return err
	}
	pods := e.client.CoreV1().Pods(e.namespace)
	if _, err := pods.GetLogs("main", &corev1.PodLogOptions{Timestamps: true}).DoRaw(ctx); err != nil {
		return err
	}
	if _, err := pods.GetLogs("absent", &corev1.PodLogOptions{}).DoRaw(ctx); !apierrors.IsNotFound(err) {
		return fmt.Errorf("logs of a pod that is not there: %v", err)
	}
	request := e.client.CoreV1().RESTClient().Post().Resource("pods").Namespace(e.namespace).Name("absent").SubResource("portforward")
	transport, upgrader, err := spdy.RoundTripperFor(e.config)
	if err != nil {
		return err
	}
	dialer := spdy.NewDialer(upgrader, &http.Client{Transport: transport}, http.MethodPost, request.URL())
	forward, err := portforward.New(dialer, []string{"0:80"}, ctx.Done(), nil, io.Discard, io.Discard)
	if err != nil {
		return err
	}
	err = forward.ForwardPorts()
	return expect(err != nil && strings.Contains(err.Error(), "not found"), "forwarding to nothing: %v", err)
}

// eviction: a disruption budget refuses with 429 while it must, and lets go when it may.
func eviction(ctx context.Context, e *env) error {
	one := intstr.FromInt32(1)
	budget := &policyv1.PodDisruptionBudget{ObjectMeta: metav1.ObjectMeta{Name: "keep"}, Spec: policyv1.PodDisruptionBudgetSpec{
		MinAvailable: &one, Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "main"}}}}
	if _, err := e.client.PolicyV1().PodDisruptionBudgets(e.namespace).Create(ctx, budget, metav1.CreateOptions{}); err != nil {
		return err
	}
	if err := runningPod(ctx, e, "main"); err != nil {
		return err
	}
	evict := &policyv1.Eviction{ObjectMeta: metav1.ObjectMeta{Name: "main", Namespace: e.namespace}}
	err := e.client.PolicyV1().Evictions(e.namespace).Evict(ctx, evict)
	if !apierrors.IsTooManyRequests(err) || !apierrors.HasStatusCause(err, policyv1.DisruptionBudgetCause) {
		return fmt.Errorf("not refused for the budget but %v", err)
	}
	if err := e.client.PolicyV1().PodDisruptionBudgets(e.namespace).Delete(ctx, "keep", metav1.DeleteOptions{}); err != nil {
		return err
	}
	return eventually(ctx, "evicted", func(ctx context.Context) (bool, error) {
		err := e.client.PolicyV1().Evictions(e.namespace).Evict(ctx, evict)
		return err == nil || apierrors.IsNotFound(err), err
	})
}

func ephemeralContainers(ctx context.Context, e *env) error {
	if err := runningPod(ctx, e, "main"); err != nil {
		return err
	}
	pods := e.client.CoreV1().Pods(e.namespace)
	p, err := pods.Get(ctx, "main", metav1.GetOptions{})
	if err != nil {
		return err
	}
	p.Spec.EphemeralContainers = append(p.Spec.EphemeralContainers, corev1.EphemeralContainer{
		EphemeralContainerCommon: corev1.EphemeralContainerCommon{Name: "look", Image: "example/look:1"}})
	got, err := pods.UpdateEphemeralContainers(ctx, "main", p, metav1.UpdateOptions{})
	if err != nil {
		return err
	}
	if len(got.Spec.EphemeralContainers) != 1 {
		return fmt.Errorf("there are %v", got.Spec.EphemeralContainers)
	}
	got.Spec.EphemeralContainers[0].Image = "example/other:1"
	_, err = pods.UpdateEphemeralContainers(ctx, "main", got, metav1.UpdateOptions{})
	return expect(apierrors.IsInvalid(err), "changing one is not Invalid but %v", err)
}
