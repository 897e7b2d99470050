package main

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"

	v1 "k8s.io/api/core/v1"
)

// The tag that says which services of CNS an instance is in.
const services = "triton.cns.services"

func (c *cloud) GetLoadBalancerName(_ context.Context, _ string, service *v1.Service) string {
	return service.Name + "-" + service.Namespace
}

func (c *cloud) GetLoadBalancer(ctx context.Context, cluster string, service *v1.Service) (*v1.LoadBalancerStatus, bool, error) {
	name := c.GetLoadBalancerName(ctx, cluster, service)
	all, err := c.instances.list(ctx)
	for _, row := range all {
		if slices.Contains(servicesOf(row), name) {
			return c.status(name), true, nil
		}
	}
	return nil, false, err
}

func (c *cloud) EnsureLoadBalancer(ctx context.Context, cluster string, service *v1.Service, nodes []*v1.Node) (*v1.LoadBalancerStatus, error) {
	name := c.GetLoadBalancerName(ctx, cluster, service)
	return c.status(name), c.expose(ctx, name, nodes)
}

func (c *cloud) UpdateLoadBalancer(ctx context.Context, cluster string, service *v1.Service, nodes []*v1.Node) error {
	return c.expose(ctx, c.GetLoadBalancerName(ctx, cluster, service), nodes)
}

func (c *cloud) EnsureLoadBalancerDeleted(ctx context.Context, cluster string, service *v1.Service) error {
	return c.expose(ctx, c.GetLoadBalancerName(ctx, cluster, service), nil)
}

func (c *cloud) status(name string) *v1.LoadBalancerStatus {
	hostname := fmt.Sprintf("%s.svc.%s.%s.triton.zone", name, c.account, c.datacentre)
	return &v1.LoadBalancerStatus{Ingress: []v1.LoadBalancerIngress{{Hostname: hostname}}}
}

// expose has these Nodes, and no other instances, in a service of CNS.
func (c *cloud) expose(ctx context.Context, name string, nodes []*v1.Node) error {
	wanted := map[string]bool{}
	for _, node := range nodes {
		wanted[idOf(node)] = true
	}
	all, err := c.instances.list(ctx)
	if err != nil {
		return err
	}
	for id, row := range all {
		present := servicesOf(row)
		switch has := slices.Contains(present, name); {
		case has == wanted[id]:
			continue
		case has:
			present = slices.DeleteFunc(present, func(it string) bool { return it == name })
		default:
			present = append(present, name)
		}
		value := strings.Join(present, ",")
		if err := c.write(ctx, id, value); err != nil {
			return err
		}
		c.instances.tag(row, services, value)
	}
	return nil
}

func (c *cloud) write(ctx context.Context, id, value string) error {
	path := "/machines/" + id + "/tags"
	if value == "" {
		return c.api.call(ctx, http.MethodDelete, path+"/"+services, nil, nil)
	}
	return c.api.call(ctx, http.MethodPost, path, map[string]string{services: value}, nil)
}

func servicesOf(row *instance) []string {
	value, _ := row.Tags[services].(string)
	return strings.FieldsFunc(value, func(r rune) bool { return r == ',' })
}
