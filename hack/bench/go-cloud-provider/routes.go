package main

import (
	"context"
	"fmt"
	"maps"
	"net/http"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	cloudprovider "k8s.io/cloud-provider"
)

// network is what matters of a fabric network.
type network struct {
	VLAN   int               `json:"vlan_id"`
	Routes map[string]string `json:"routes"`
}

func (c *cloud) ListRoutes(ctx context.Context, _ string) ([]*cloudprovider.Route, error) {
	found, err := c.readNetwork(ctx)
	if err != nil {
		return nil, err
	}
	all, err := c.instances.list(ctx)
	if err != nil {
		return nil, err
	}
	names := map[string]string{}
	for _, row := range all {
		for _, ip := range row.IPs {
			names[ip] = row.Name
		}
	}
	var routes []*cloudprovider.Route
	for destination, gateway := range found.Routes {
		routes = append(routes, &cloudprovider.Route{
			Name:                destination,
			DestinationCIDR:     destination,
			TargetNode:          types.NodeName(names[gateway]),
			EnableNodeAddresses: true,
			TargetNodeAddresses: []v1.NodeAddress{{Type: v1.NodeInternalIP, Address: gateway}},
		})
	}
	return routes, nil
}

func (c *cloud) CreateRoute(ctx context.Context, _, _ string, route *cloudprovider.Route) error {
	for _, address := range route.TargetNodeAddresses {
		if address.Type == v1.NodeInternalIP {
			return c.change(ctx, func(routes map[string]string) { routes[route.DestinationCIDR] = address.Address })
		}
	}
	return fmt.Errorf("node %s has no address", route.TargetNode)
}

func (c *cloud) DeleteRoute(ctx context.Context, _ string, route *cloudprovider.Route) error {
	return c.change(ctx, func(routes map[string]string) { delete(routes, route.DestinationCIDR) })
}

func (c *cloud) readNetwork(ctx context.Context) (*network, error) {
	found := &network{}
	return found, c.api.call(ctx, http.MethodGet, "/networks/"+c.network, nil, found)
}

func (c *cloud) change(ctx context.Context, change func(map[string]string)) error {
	found, err := c.readNetwork(ctx)
	if err != nil {
		return err
	}
	routes := map[string]string{}
	maps.Copy(routes, found.Routes)
	change(routes)
	path := fmt.Sprintf("/fabrics/%d/networks/%s", found.VLAN, c.network)
	return c.api.call(ctx, http.MethodPut, path, map[string]any{"routes": routes}, nil)
}
