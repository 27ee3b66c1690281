// Checks of an API server by client-go and controller-runtime. Each check gets a namespace of its own.
//
//	KUBECONFIG=FILE clients [-list] [-run NAME,NAME]
//
// A line of JSON a check goes to standard output: {"check":..., "seconds":..., "error":...}. A check that needs the server
// to be restarted prints {"restart":true} and waits for a line on standard input.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-logr/logr"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/klog/v2"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"

	corev1 "k8s.io/api/core/v1"
)

// env is what a check works with.
type env struct {
	// config speaks JSON where a check does not choose otherwise.
	config *rest.Config
	// client speaks protobuf.
	client    *kubernetes.Clientset
	namespace string
	restart   func() error
}

type check struct {
	name string
	run  func(context.Context, *env) error
}

const checkTime = 60 * time.Second

var checks = slices.Concat(
	informerChecks, relistChecks, leaderChecks, applyChecks, writeChecks, listChecks,
	discoveryChecks, podChecks, customChecks, operatorChecks,
)

func protobuf(config *rest.Config) *rest.Config {
	c := rest.CopyConfig(config)
	c.ContentType = "application/vnd.kubernetes.protobuf"
	c.AcceptContentTypes = "application/vnd.kubernetes.protobuf,application/json"
	return c
}

// eventually polls until done; the last failure is told when the time is over.
func eventually(ctx context.Context, what string, done func(context.Context) (bool, error)) error {
	var last error
	err := wait.PollUntilContextTimeout(ctx, 20*time.Millisecond, 20*time.Second, true, func(ctx context.Context) (bool, error) {
		ok, err := done(ctx)
		last = err
		return ok && err == nil, nil
	})
	if err != nil {
		return fmt.Errorf("%s: %w (last: %v)", what, err, last)
	}
	return nil
}

func expect(ok bool, format string, args ...any) error {
	if ok {
		return nil
	}
	return fmt.Errorf(format, args...)
}

func run(config *rest.Config, one check, restart func() error) (err error) {
	ctx, cancel := context.WithTimeout(context.Background(), checkTime)
	defer cancel()
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %v", r)
		}
	}()
	client, err := kubernetes.NewForConfig(protobuf(config))
	if err != nil {
		return err
	}
	made, err := client.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "go-" + one.name + "-"},
	}, metav1.CreateOptions{})
	if err != nil {
		return err
	}
	defer client.CoreV1().Namespaces().Delete(context.Background(), made.Name, metav1.DeleteOptions{})
	// Pods are refused until the namespace's account is there.
	if err := eventually(ctx, "the default service account", func(ctx context.Context) (bool, error) {
		_, err := client.CoreV1().ServiceAccounts(made.Name).Get(ctx, "default", metav1.GetOptions{})
		return err == nil, err
	}); err != nil {
		return err
	}
	return one.run(ctx, &env{config: config, client: client, namespace: made.Name, restart: restart})
}

func main() {
	only := flag.String("run", "", "the checks to run, comma separated; empty: all")
	list := flag.Bool("list", false, "only name the checks")
	flag.Parse()
	if *list {
		for _, one := range checks {
			fmt.Println(one.name)
		}
		return
	}
	klog.SetLogger(logr.Discard())
	ctrllog.SetLogger(logr.Discard())
	config, err := clientcmd.BuildConfigFromFlags("", os.Getenv("KUBECONFIG"))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	config.QPS = -1
	out := json.NewEncoder(os.Stdout)
	in := bufio.NewScanner(os.Stdin)
	var restarting sync.Mutex
	restart := func() error {
		restarting.Lock()
		defer restarting.Unlock()
		if err := out.Encode(map[string]bool{"restart": true}); err != nil {
			return err
		}
		return expect(in.Scan(), "nobody restarts the server")
	}
	failed := false
	for _, one := range checks {
		if *only != "" && !slices.Contains(strings.Split(*only, ","), one.name) {
			continue
		}
		began := time.Now()
		line := map[string]any{"check": one.name}
		if err := run(config, one, restart); err != nil {
			failed = true
			line["error"] = err.Error()
		}
		line["seconds"] = time.Since(began).Seconds()
		_ = out.Encode(line)
	}
	if failed {
		os.Exit(1)
	}
}
