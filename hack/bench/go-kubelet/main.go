// The Go virtual-kubelet's library with what limits it lifted: no limit on its client, a back-off per pod instead of ten
// pods a second in its queues, and a provider whose map is guarded. Everything else is as its own program has it.
//
//	go-kubelet NODE KUBECONFIG
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"path"
	"syscall"
	"time"

	"github.com/virtual-kubelet/virtual-kubelet/node"
	"github.com/virtual-kubelet/virtual-kubelet/node/nodeutil"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
	typedcore "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/record"
	"k8s.io/client-go/util/workqueue"
)

const (
	// As its program has them.
	workers = 10
	resync  = time.Minute
)

func main() {
	if len(os.Args) != 3 {
		fail(fmt.Errorf("usage: go-kubelet NODE KUBECONFIG"))
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1], os.Args[2]); err != nil && ctx.Err() == nil {
		fail(err)
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "go-kubelet:", err)
	os.Exit(1)
}

func run(ctx context.Context, name, kubeconfig string) error {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return err
	}
	config.QPS = -1
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}

	pods := informers.NewSharedInformerFactoryWithOptions(client, resync, nodeutil.PodInformerFilter(name))
	others := informers.NewSharedInformerFactory(client, resync)
	events := record.NewBroadcaster()
	events.StartRecordingToSink(&typedcore.EventSinkImpl{Interface: client.CoreV1().Events("")})
	defer events.Shutdown()
	source := corev1.EventSource{Component: path.Join(name, "pod-controller")}

	podController, err := node.NewPodController(node.PodControllerConfig{
		PodClient:                            client.CoreV1(),
		EventRecorder:                        events.NewRecorder(scheme.Scheme, source),
		Provider:                             newProvider(),
		PodInformer:                          pods.Core().V1().Pods(),
		SecretInformer:                       others.Core().V1().Secrets(),
		ConfigMapInformer:                    others.Core().V1().ConfigMaps(),
		ServiceInformer:                      others.Core().V1().Services(),
		SyncPodsFromKubernetesRateLimiter:    perPod(),
		DeletePodsFromKubernetesRateLimiter:  perPod(),
		SyncPodStatusFromProviderRateLimiter: perPod(),
	})
	if err != nil {
		return err
	}
	provider := node.NewNaiveNodeProvider()
	object := virtualNode(name)
	lease := node.WithNodeEnableLeaseV1(nodeutil.NodeLeaseV1Client(client), node.DefaultLeaseDuration)
	nodeController, err := node.NewNodeController(provider, object, client.CoreV1().Nodes(), lease)
	if err != nil {
		return err
	}

	pods.Start(ctx.Done())
	others.Start(ctx.Done())
	go podController.Run(ctx, workers) //nolint:errcheck // told by Err.
	select {
	case <-podController.Ready():
	case <-podController.Done():
		return podController.Err()
	}
	go nodeController.Run(ctx) //nolint:errcheck // told by Err.
	select {
	case <-nodeController.Ready():
	case <-nodeController.Done():
		return nodeController.Err()
	}
	object.Status.Conditions[0].Status = corev1.ConditionTrue
	object.Status.Conditions[0].Reason = "KubeletReady"
	if err := provider.UpdateStatus(ctx, object); err != nil {
		return err
	}
	select {
	case <-podController.Done():
		return podController.Err()
	case <-nodeController.Done():
		return nodeController.Err()
	}
}

// Waits longer after each failure of a pod, and never for other pods.
func perPod() workqueue.TypedRateLimiter[any] {
	return workqueue.NewTypedItemExponentialFailureRateLimiter[any](5*time.Millisecond, 1000*time.Second)
}

func virtualNode(name string) *corev1.Node {
	room := corev1.ResourceList{
		corev1.ResourceCPU:    resource.MustParse("100k"),
		corev1.ResourceMemory: resource.MustParse("100Ti"),
		corev1.ResourcePods:   resource.MustParse("100k"),
	}
	return &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{
			Name:   name,
			Labels: map[string]string{"type": "virtual-kubelet", "kubernetes.io/hostname": name},
		},
		Status: corev1.NodeStatus{
			Capacity:    room,
			Allocatable: room,
			Conditions:  []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionFalse}},
		},
	}
}
