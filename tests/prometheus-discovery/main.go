// Prometheus' own client of HTTP service discovery: asks a URL once and prints what it took, as JSON.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	promconfig "github.com/prometheus/common/config"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/discovery"
	"github.com/prometheus/prometheus/discovery/http"
)

func main() {
	url := flag.String("url", "", "what Prometheus is given as the URL of http_sd_configs")
	token := flag.String("credentials-file", "", "a file with the token of authorization, and any certificate will do")
	flag.Parse()
	if err := run(*url, *token); err != nil {
		fmt.Fprintln(os.Stderr, "prometheus-discovery:", err)
		os.Exit(1)
	}
}

func run(url, token string) error {
	config := http.DefaultSDConfig
	config.URL = url
	if token != "" {
		config.HTTPClientConfig.Authorization = &promconfig.Authorization{Type: "Bearer", CredentialsFile: token}
		config.HTTPClientConfig.TLSConfig.InsecureSkipVerify = true
	}
	config.RefreshInterval = model.Duration(10 * time.Second)
	registry := prometheus.NewRegistry()
	metrics := config.NewDiscovererMetrics(registry, discovery.NewRefreshMetrics(registry))
	discoverer, err := http.NewDiscovery(&config, discovery.DiscovererOptions{Metrics: metrics})
	if err != nil {
		return err
	}
	groups, err := discoverer.Refresh(context.Background())
	if err != nil {
		return err
	}
	for _, group := range groups {
		for _, target := range group.Targets {
			if err := target.Validate(); err != nil {
				return err
			}
		}
		if err := group.Labels.Validate(); err != nil {
			return err
		}
	}
	return json.NewEncoder(os.Stdout).Encode(groups)
}
