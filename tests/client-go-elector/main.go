// A candidate that client-go's own leader elector drives: the other side of the tests of our leader election.
//
// It prints a line for each event: "leading", "lost", and "leader NAME" when another holds the lease.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
)

func main() {
	kubeconfig := flag.String("kubeconfig", "", "the kubeconfig file")
	namespace := flag.String("namespace", "default", "the namespace of the lease")
	name := flag.String("name", "", "the name of the lease")
	identity := flag.String("identity", "", "the name of this candidate")
	leaseDuration := flag.Duration("lease-duration", 15*time.Second, "how long a lease that is not renewed is respected")
	renewDeadline := flag.Duration("renew-deadline", 10*time.Second, "how long the leader tries to renew before it gives up")
	retryPeriod := flag.Duration("retry-period", 2*time.Second, "the time between tries")
	flag.Parse()
	if *name == "" || *identity == "" {
		fmt.Fprintln(os.Stderr, "client-go-elector: --name and --identity are needed")
		os.Exit(2)
	}

	config, err := clientcmd.BuildConfigFromFlags("", *kubeconfig)
	if err != nil {
		fmt.Fprintln(os.Stderr, "client-go-elector:", err)
		os.Exit(1)
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		fmt.Fprintln(os.Stderr, "client-go-elector:", err)
		os.Exit(1)
	}

	// A signal releases the lease on the way out.
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	leaderelection.RunOrDie(ctx, leaderelection.LeaderElectionConfig{
		Lock: &resourcelock.LeaseLock{
			LeaseMeta:  metav1.ObjectMeta{Name: *name, Namespace: *namespace},
			Client:     client.CoordinationV1(),
			LockConfig: resourcelock.ResourceLockConfig{Identity: *identity},
		},
		ReleaseOnCancel: true,
		LeaseDuration:   *leaseDuration,
		RenewDeadline:   *renewDeadline,
		RetryPeriod:     *retryPeriod,
		Callbacks: leaderelection.LeaderCallbacks{
			OnStartedLeading: func(context.Context) { fmt.Println("leading") },
			OnStoppedLeading: func() { fmt.Println("lost") },
			OnNewLeader: func(leader string) {
				if leader != *identity {
					fmt.Println("leader", leader)
				}
			},
		},
	})
}
