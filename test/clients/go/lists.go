package main

import (
	"context"
	"encoding/json"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/tools/pager"
)

var listChecks = []check{
	{"pager", pages},
	{"selectors", selectors},
	{"tables", tables},
	{"partial-metadata", partialMetadata},
}

const many = 57

func makeMany(ctx context.Context, e *env) error {
	for i := range many {
		m := configMap(fmt.Sprintf("c%03d", i), map[string]string{"i": fmt.Sprint(i)})
		m.Labels["third"] = fmt.Sprint(i % 3)
		if _, err := e.client.CoreV1().ConfigMaps(e.namespace).Create(ctx, m, metav1.CreateOptions{}); err != nil {
			return err
		}
	}
	return nil
}

// pages: chunks show one snapshot, whatever is written meanwhile.
func pages(ctx context.Context, e *env) error {
	if err := makeMany(ctx, e); err != nil {
		return err
	}
	maps := e.client.CoreV1().ConfigMaps(e.namespace)
	calls := 0
	p := pager.New(func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
		list, err := maps.List(ctx, o)
		calls++
		if calls == 1 {
			_ = maps.Delete(ctx, fmt.Sprintf("c%03d", many-1), metav1.DeleteOptions{})
		}
		return list, err
	})
	p.PageSize = 10
	seen := map[string]bool{}
	err := p.EachListItem(ctx, metav1.ListOptions{LabelSelector: "by=clients"}, func(o runtime.Object) error {
		seen[o.(*corev1.ConfigMap).Name] = true
		return nil
	})
	if err != nil {
		return err
	}
	if len(seen) != many || calls != (many+9)/10 {
		return fmt.Errorf("%d objects in %d pages", len(seen), calls)
	}
	first, err := maps.List(ctx, metav1.ListOptions{Limit: 5})
	if err != nil {
		return err
	}
	if first.RemainingItemCount == nil || *first.RemainingItemCount < many-7 {
		return fmt.Errorf("remaining: %v", first.RemainingItemCount)
	}
	_, err = maps.List(ctx, metav1.ListOptions{Limit: 5, Continue: "not a token"})
	return expect(apierrors.IsBadRequest(err), "a made up token is not a BadRequest but %v", err)
}

func selectors(ctx context.Context, e *env) error {
	if err := makeMany(ctx, e); err != nil {
		return err
	}
	maps := e.client.CoreV1().ConfigMaps(e.namespace)
	for selector, want := range map[string]int{
		"third=1": many / 3, "third in (1,2)": 2 * many / 3, "third,third!=0": 2 * many / 3, "!third,by": 0, "third notin (0,1),by": many / 3,
	} {
		list, err := maps.List(ctx, metav1.ListOptions{LabelSelector: selector})
		if err != nil {
			return err
		}
		if len(list.Items) != want {
			return fmt.Errorf("%q selects %d, not %d", selector, len(list.Items), want)
		}
	}
	_, err := maps.List(ctx, metav1.ListOptions{FieldSelector: "data.i=1"})
	if !apierrors.IsBadRequest(err) {
		return fmt.Errorf("an unknown field is not a BadRequest but %v", err)
	}
	latest, err := maps.List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	for _, o := range []metav1.ListOptions{
		{ResourceVersion: "0"}, {ResourceVersion: latest.ResourceVersion},
		{ResourceVersion: latest.ResourceVersion, ResourceVersionMatch: metav1.ResourceVersionMatchExact},
		{ResourceVersion: latest.ResourceVersion, ResourceVersionMatch: metav1.ResourceVersionMatchNotOlderThan},
	} {
		list, err := maps.List(ctx, o)
		if err != nil {
			return err
		}
		if len(list.Items) != len(latest.Items) {
			return fmt.Errorf("%v lists %d", o, len(list.Items))
		}
	}
	_, err = maps.List(ctx, metav1.ListOptions{ResourceVersion: "1", ResourceVersionMatch: metav1.ResourceVersionMatchExact})
	return expect(apierrors.IsResourceExpired(err), "revision 1 is not Expired but %v", err)
}

// tables: the server prints, with and without the objects.
func tables(ctx context.Context, e *env) error {
	if _, err := e.client.AppsV1().Deployments(e.namespace).Create(ctx, deployment("web", 2), metav1.CreateOptions{}); err != nil {
		return err
	}
	ask := func(path, include string) (*metav1.Table, error) {
		body, err := e.client.RESTClient().Get().AbsPath(path).Param("includeObject", include).
			SetHeader("Accept", "application/json;as=Table;v=v1;g=meta.k8s.io,application/json").DoRaw(ctx)
		if err != nil {
			return nil, err
		}
		table := &metav1.Table{}
		return table, json.Unmarshal(body, table)
	}
	base := "/apis/apps/v1/namespaces/" + e.namespace + "/deployments"
	for path, columns := range map[string]int{base: 8, base + "/web": 8, base + "/web/scale": 4, base + "/web/status": 8} {
		for _, include := range []string{"None", "Metadata", "Object"} {
			table, err := ask(path, include)
			if err != nil {
				return fmt.Errorf("%s: %w", path, err)
			}
			if len(table.Rows) != 1 || len(table.ColumnDefinitions) != columns || table.Rows[0].Cells[0] != "web" {
				return fmt.Errorf("%s: %d rows, columns %v", path, len(table.Rows), table.ColumnDefinitions)
			}
			if (include == "None") != (len(table.Rows[0].Object.Raw) == 0) {
				return fmt.Errorf("%s with includeObject=%s carries %s", path, include, table.Rows[0].Object.Raw)
			}
		}
	}
	return nil
}

func partialMetadata(ctx context.Context, e *env) error {
	if err := makeMany(ctx, e); err != nil {
		return err
	}
	client, err := metadata.NewForConfig(e.config)
	if err != nil {
		return err
	}
	maps := client.Resource(configMaps).Namespace(e.namespace)
	list, err := maps.List(ctx, metav1.ListOptions{LabelSelector: "third=1"})
	if err != nil {
		return err
	}
	if len(list.Items) != many/3 || list.Items[0].Labels["third"] != "1" {
		return fmt.Errorf("%d of the metadata", len(list.Items))
	}
	one, err := maps.Patch(ctx, "c000", "application/merge-patch+json", []byte(`{"metadata":{"annotations":{"x":"y"}}}`), metav1.PatchOptions{})
	if err != nil {
		return err
	}
	if one.Annotations["x"] != "y" {
		return fmt.Errorf("patched metadata: %v", one.Annotations)
	}
	return maps.Delete(ctx, "c000", metav1.DeleteOptions{})
}
