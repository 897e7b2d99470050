package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	v1 "k8s.io/api/core/v1"
	cloudprovider "k8s.io/cloud-provider"
)

// The most rows that CloudAPI shows at once.
const page = 1000

// instance is what matters of an instance.
type instance struct {
	ID      string         `json:"id"`
	Name    string         `json:"name"`
	State   string         `json:"state"`
	Package string         `json:"package"`
	IPs     []string       `json:"ips"`
	Tags    map[string]any `json:"tags"`
}

// inventory reads instances: each for itself, or from a list that is good for some time.
type inventory struct {
	api     *cloudAPI
	goodFor time.Duration
	guard   sync.Mutex
	listed  time.Time
	byID    map[string]*instance
}

// get gives an instance; nil when there is none.
func (i *inventory) get(ctx context.Context, id string) (*instance, error) {
	if i.goodFor > 0 {
		all, err := i.list(ctx)
		return all[id], err
	}
	found := &instance{}
	err := i.api.call(ctx, http.MethodGet, "/machines/"+id, nil, found)
	var answer *refused
	if errors.As(err, &answer) && (answer.status == http.StatusNotFound || answer.status == http.StatusGone) {
		return nil, nil
	}
	return found, err
}

// list gives all instances by id.
func (i *inventory) list(ctx context.Context) (map[string]*instance, error) {
	i.guard.Lock()
	defer i.guard.Unlock()
	if i.goodFor > 0 && time.Since(i.listed) < i.goodFor {
		return i.byID, nil
	}
	begun, all := time.Now(), map[string]*instance{}
	for offset := 0; ; offset += page {
		var rows []*instance
		path := fmt.Sprintf("/machines?limit=%d&offset=%d", page, offset)
		if err := i.api.call(ctx, http.MethodGet, path, nil, &rows); err != nil {
			return nil, err
		}
		for _, row := range rows {
			all[row.ID] = row
		}
		if len(rows) < page {
			break
		}
	}
	i.listed, i.byID = begun, all
	return all, nil
}

// tag notes a tag that was written, for the time that the list is good.
func (i *inventory) tag(row *instance, key, value string) {
	i.guard.Lock()
	defer i.guard.Unlock()
	if row.Tags == nil {
		row.Tags = map[string]any{}
	}
	row.Tags[key] = value
}

// of gives the instance of a Node.
func (c *cloud) of(ctx context.Context, node *v1.Node) (*instance, error) {
	return c.instances.get(ctx, idOf(node))
}

func idOf(node *v1.Node) string {
	if node.Spec.ProviderID != "" {
		return strings.TrimPrefix(node.Spec.ProviderID, provider+"://")
	}
	return strings.ToLower(node.Status.NodeInfo.SystemUUID)
}

func (c *cloud) InstanceExists(ctx context.Context, node *v1.Node) (bool, error) {
	found, err := c.of(ctx, node)
	return found != nil, err
}

func (c *cloud) InstanceShutdown(ctx context.Context, node *v1.Node) (bool, error) {
	found, err := c.of(ctx, node)
	return found != nil && found.State == "stopped", err
}

func (c *cloud) InstanceMetadata(ctx context.Context, node *v1.Node) (*cloudprovider.InstanceMetadata, error) {
	found, err := c.of(ctx, node)
	if err != nil {
		return nil, err
	}
	if found == nil {
		return nil, cloudprovider.InstanceNotFound
	}
	addresses := []v1.NodeAddress{{Type: v1.NodeHostName, Address: node.Name}}
	for _, ip := range found.IPs {
		addresses = append(addresses, v1.NodeAddress{Type: v1.NodeInternalIP, Address: ip})
	}
	return &cloudprovider.InstanceMetadata{
		ProviderID:    provider + "://" + found.ID,
		InstanceType:  found.Package,
		NodeAddresses: addresses,
		Zone:          c.datacentre,
		Region:        c.datacentre,
	}, nil
}
