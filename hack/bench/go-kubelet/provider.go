package main

import (
	"context"
	"sync"

	"github.com/virtual-kubelet/virtual-kubelet/errdefs"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// provider runs pods in its imagination: they run at once and end at once.
type provider struct {
	guard  sync.Mutex
	pods   map[string]*corev1.Pod
	notify func(*corev1.Pod)
}

func newProvider() *provider {
	return &provider{pods: map[string]*corev1.Pod{}}
}

func (p *provider) NotifyPods(_ context.Context, notify func(*corev1.Pod)) {
	p.guard.Lock()
	defer p.guard.Unlock()
	p.notify = notify
}

func (p *provider) CreatePod(_ context.Context, wanted *corev1.Pod) error {
	pod := wanted.DeepCopy()
	now := metav1.Now()
	pod.Status = corev1.PodStatus{Phase: corev1.PodRunning, HostIP: "192.0.2.1", PodIP: "192.0.2.2", StartTime: &now}
	for _, kind := range []corev1.PodConditionType{corev1.PodInitialized, corev1.PodReady, corev1.PodScheduled} {
		condition := corev1.PodCondition{Type: kind, Status: corev1.ConditionTrue}
		pod.Status.Conditions = append(pod.Status.Conditions, condition)
	}
	for _, container := range pod.Spec.Containers {
		running := corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: now}}
		status := corev1.ContainerStatus{Name: container.Name, Image: container.Image, Ready: true, State: running}
		pod.Status.ContainerStatuses = append(pod.Status.ContainerStatuses, status)
	}
	p.put(pod)
	return nil
}

func (p *provider) UpdatePod(_ context.Context, pod *corev1.Pod) error {
	p.put(pod.DeepCopy())
	return nil
}

func (p *provider) put(pod *corev1.Pod) {
	p.guard.Lock()
	p.pods[key(pod.Namespace, pod.Name)] = pod
	notify := p.notify
	p.guard.Unlock()
	notify(pod)
}

func (p *provider) DeletePod(_ context.Context, wanted *corev1.Pod) error {
	p.guard.Lock()
	key := key(wanted.Namespace, wanted.Name)
	known, exists := p.pods[key]
	delete(p.pods, key)
	notify := p.notify
	p.guard.Unlock()
	if !exists {
		return errdefs.NotFound("no such pod")
	}
	pod := known.DeepCopy()
	now := metav1.Now()
	pod.Status.Phase = corev1.PodSucceeded
	for index := range pod.Status.ContainerStatuses {
		status := &pod.Status.ContainerStatuses[index]
		status.Ready = false
		ended := &corev1.ContainerStateTerminated{FinishedAt: now, Reason: "Deleted"}
		if status.State.Running != nil {
			ended.StartedAt = status.State.Running.StartedAt
		}
		status.State = corev1.ContainerState{Terminated: ended}
	}
	notify(pod)
	return nil
}

func (p *provider) GetPod(_ context.Context, namespace, name string) (*corev1.Pod, error) {
	p.guard.Lock()
	defer p.guard.Unlock()
	if pod, exists := p.pods[key(namespace, name)]; exists {
		return pod, nil
	}
	return nil, errdefs.NotFound("no such pod")
}

func (p *provider) GetPodStatus(ctx context.Context, namespace, name string) (*corev1.PodStatus, error) {
	pod, err := p.GetPod(ctx, namespace, name)
	if err != nil {
		return nil, err
	}
	return &pod.Status, nil
}

func (p *provider) GetPods(context.Context) ([]*corev1.Pod, error) {
	p.guard.Lock()
	defer p.guard.Unlock()
	pods := make([]*corev1.Pod, 0, len(p.pods))
	for _, pod := range p.pods {
		pods = append(pods, pod)
	}
	return pods, nil
}

func key(namespace, name string) string {
	return namespace + "/" + name
}
