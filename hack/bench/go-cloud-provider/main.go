// A small provider for Triton on the Go framework k8s.io/cloud-provider, to compare with: the interfaces in the plain way,
// over signed requests. It takes the framework's flags, and from the environment:
//
//	TRITON_URL, TRITON_ACCOUNT, TRITON_KEY_ID, TRITON_KEY_MATERIAL   how CloudAPI is reached, with an Ed25519 key in a file
//	TRITON_NETWORK                                                  the fabric network of routes
//	TRITON_CACHE                                                    for how long a list of instances is good, such as 10s;
//	                                                                left out, each is read when it is asked for
package main

import (
	"fmt"
	"io"
	"os"

	"k8s.io/apimachinery/pkg/util/wait"
	cloudprovider "k8s.io/cloud-provider"
	"k8s.io/cloud-provider/app"
	"k8s.io/cloud-provider/app/config"
	"k8s.io/cloud-provider/names"
	"k8s.io/cloud-provider/options"
	"k8s.io/component-base/cli"
	"k8s.io/component-base/cli/flag"
)

const provider = "triton"

func main() {
	cloudprovider.RegisterCloudProvider(provider, func(io.Reader) (cloudprovider.Interface, error) { return newCloud() })
	settings, err := options.NewCloudControllerManagerOptions()
	if err != nil {
		fail(err)
	}
	settings.KubeCloudShared.CloudProvider.Name = provider
	initializers := app.DefaultInitFuncConstructors
	command := app.NewCloudControllerManagerCommand(
		settings, initialize, initializers, names.CCMControllerAliases(), flag.NamedFlagSets{}, wait.NeverStop,
	)
	os.Exit(cli.Run(command))
}

func initialize(config *config.CompletedConfig) cloudprovider.Interface {
	cloud, err := cloudprovider.InitCloudProvider(config.ComponentConfig.KubeCloudShared.CloudProvider.Name, "")
	if err != nil {
		fail(err)
	}
	return cloud
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "go-cloud-provider:", err)
	os.Exit(1)
}
