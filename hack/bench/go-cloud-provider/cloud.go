package main

import (
	"context"
	"os"
	"time"

	cloudprovider "k8s.io/cloud-provider"
)

// cloud is what the framework asks.
type cloud struct {
	api       *cloudAPI
	instances *inventory
	network   string
	// The account's id and the data centre's name, which are part of names in DNS.
	account, datacentre string
}

func newCloud() (*cloud, error) {
	api, err := newCloudAPI()
	if err != nil {
		return nil, err
	}
	var goodFor time.Duration
	if text := os.Getenv("TRITON_CACHE"); text != "" {
		if goodFor, err = time.ParseDuration(text); err != nil {
			return nil, err
		}
	}
	found := &cloud{api: api, instances: &inventory{api: api, goodFor: goodFor}, network: os.Getenv("TRITON_NETWORK")}
	var account struct {
		ID string `json:"id"`
	}
	if err := api.call(context.Background(), "GET", "", nil, &account); err != nil {
		return nil, err
	}
	datacentres := map[string]string{}
	if err := api.call(context.Background(), "GET", "/datacenters", nil, &datacentres); err != nil {
		return nil, err
	}
	found.account = account.ID
	for name := range datacentres {
		found.datacentre = name
	}
	return found, nil
}

func (c *cloud) Initialize(cloudprovider.ControllerClientBuilder, <-chan struct{}) {}
func (c *cloud) LoadBalancer() (cloudprovider.LoadBalancer, bool)                  { return c, true }
func (c *cloud) Instances() (cloudprovider.Instances, bool)                        { return nil, false }
func (c *cloud) InstancesV2() (cloudprovider.InstancesV2, bool)                    { return c, true }
func (c *cloud) Zones() (cloudprovider.Zones, bool)                                { return nil, false }
func (c *cloud) Clusters() (cloudprovider.Clusters, bool)                          { return nil, false }
func (c *cloud) Routes() (cloudprovider.Routes, bool)                              { return c, c.network != "" }
func (c *cloud) ProviderName() string                                              { return provider }
func (c *cloud) HasClusterID() bool                                                { return true }
