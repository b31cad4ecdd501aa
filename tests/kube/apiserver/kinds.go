package main

import (
	"fmt"
	"reflect"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	eventsv1 "k8s.io/api/events/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	schedulingv1 "k8s.io/api/scheduling/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	clientscheme "k8s.io/client-go/kubernetes/scheme"
)

// kind is one built-in kind that the server stores.
type kind struct {
	version          schema.GroupVersion
	plural, singular string
	short            string // for kubectl; "" without
	namespaced       bool
	object, list     runtime.Object
	fields           []string // for field selectors, besides metadata.name and metadata.namespace
}

const everywhere, inNamespaces = false, true

var (
	core      = corev1.SchemeGroupVersion
	events    = eventsv1.SchemeGroupVersion
	lease     = coordinationv1.SchemeGroupVersion
	endpoints = discoveryv1.SchemeGroupVersion
	hooks     = admissionv1.SchemeGroupVersion
	rbac      = rbacv1.SchemeGroupVersion
	apps      = appsv1.SchemeGroupVersion
	batch     = batchv1.SchemeGroupVersion
	policies  = networkingv1.SchemeGroupVersion
	budgets   = policyv1.SchemeGroupVersion
	classes   = schedulingv1.SchemeGroupVersion
	podFields = []string{"spec.nodeName", "status.phase", "spec.hostNetwork", "status.podIP"}
	evFields  = []string{
		"involvedObject.kind", "involvedObject.name", "involvedObject.namespace", "involvedObject.uid",
		"reason", "type", "source", "reportingComponent",
	}

	kinds = []kind{
		{core, "namespaces", "namespace", "ns", everywhere, &corev1.Namespace{}, &corev1.NamespaceList{}, []string{"status.phase"}},
		{core, "nodes", "node", "no", everywhere, &corev1.Node{}, &corev1.NodeList{}, []string{"spec.unschedulable"}},
		{core, "pods", "pod", "po", inNamespaces, &corev1.Pod{}, &corev1.PodList{}, podFields},
		{core, "secrets", "secret", "", inNamespaces, &corev1.Secret{}, &corev1.SecretList{}, []string{"type"}},
		{core, "configmaps", "configmap", "cm", inNamespaces, &corev1.ConfigMap{}, &corev1.ConfigMapList{}, nil},
		{core, "services", "service", "svc", inNamespaces, &corev1.Service{}, &corev1.ServiceList{}, nil},
		{core, "endpoints", "endpoints", "ep", inNamespaces, &corev1.Endpoints{}, &corev1.EndpointsList{}, nil},
		{core, "serviceaccounts", "serviceaccount", "sa", inNamespaces, &corev1.ServiceAccount{}, &corev1.ServiceAccountList{}, nil},
		{core, "events", "event", "ev", inNamespaces, &corev1.Event{}, &corev1.EventList{}, evFields},
		{events, "events", "event", "ev", inNamespaces, &eventsv1.Event{}, &eventsv1.EventList{}, nil},
		{lease, "leases", "lease", "", inNamespaces, &coordinationv1.Lease{}, &coordinationv1.LeaseList{}, nil},
		{endpoints, "endpointslices", "endpointslice", "", inNamespaces, &discoveryv1.EndpointSlice{}, &discoveryv1.EndpointSliceList{}, nil},
		{hooks, "validatingwebhookconfigurations", "validatingwebhookconfiguration", "", everywhere, &admissionv1.ValidatingWebhookConfiguration{}, &admissionv1.ValidatingWebhookConfigurationList{}, nil},
		{hooks, "mutatingwebhookconfigurations", "mutatingwebhookconfiguration", "", everywhere, &admissionv1.MutatingWebhookConfiguration{}, &admissionv1.MutatingWebhookConfigurationList{}, nil},
		{rbac, "clusterroles", "clusterrole", "", everywhere, &rbacv1.ClusterRole{}, &rbacv1.ClusterRoleList{}, nil},
		{rbac, "clusterrolebindings", "clusterrolebinding", "", everywhere, &rbacv1.ClusterRoleBinding{}, &rbacv1.ClusterRoleBindingList{}, nil},
		{rbac, "roles", "role", "", inNamespaces, &rbacv1.Role{}, &rbacv1.RoleList{}, nil},
		{rbac, "rolebindings", "rolebinding", "", inNamespaces, &rbacv1.RoleBinding{}, &rbacv1.RoleBindingList{}, nil},
		{apps, "daemonsets", "daemonset", "ds", inNamespaces, &appsv1.DaemonSet{}, &appsv1.DaemonSetList{}, nil},
		{apps, "deployments", "deployment", "deploy", inNamespaces, &appsv1.Deployment{}, &appsv1.DeploymentList{}, nil},
		{batch, "jobs", "job", "", inNamespaces, &batchv1.Job{}, &batchv1.JobList{}, nil},
		{policies, "networkpolicies", "networkpolicy", "netpol", inNamespaces, &networkingv1.NetworkPolicy{}, &networkingv1.NetworkPolicyList{}, nil},
		{budgets, "poddisruptionbudgets", "poddisruptionbudget", "pdb", inNamespaces, &policyv1.PodDisruptionBudget{}, &policyv1.PodDisruptionBudgetList{}, nil},
		{classes, "priorityclasses", "priorityclass", "pc", everywhere, &schedulingv1.PriorityClass{}, &schedulingv1.PriorityClassList{}, nil},
	}

	scheme = runtime.NewScheme()
	codecs = serializer.NewCodecFactory(scheme)
)

func name(object runtime.Object) string { return reflect.TypeOf(object).Elem().Name() }

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func init() {
	must(clientscheme.AddToScheme(scheme))
	v1 := schema.GroupVersion{Version: "v1"}
	metav1.AddToGroupVersion(scheme, v1)
	scheme.AddUnversionedTypes(v1, &metav1.Status{}, &metav1.APIVersions{}, &metav1.APIGroupList{}, &metav1.APIGroup{}, &metav1.APIResourceList{})
	for _, k := range kinds {
		// The internal version of each kind is the same Go type, so nothing has to be converted.
		internal := schema.GroupVersion{Group: k.version.Group, Version: runtime.APIVersionInternal}
		scheme.AddKnownTypeWithName(internal.WithKind(name(k.object)), k.object)
		scheme.AddKnownTypeWithName(internal.WithKind(name(k.list)), k.list)
		must(scheme.AddFieldLabelConversionFunc(k.version.WithKind(name(k.object)), k.fieldLabel))
	}
	addDefaults()
}

func (k kind) fieldLabel(label, value string) (string, string, error) {
	for _, known := range append([]string{"metadata.name", "metadata.namespace"}, k.fields...) {
		if label == known {
			return label, value, nil
		}
	}
	return "", "", fmt.Errorf("field label not supported: %s", label)
}

// addDefaults fills in what the server itself, kubectl or our manifests rely on.
func addDefaults() {
	scheme.AddTypeDefaultingFunc(&admissionv1.ValidatingWebhookConfiguration{}, func(object any) {
		all := object.(*admissionv1.ValidatingWebhookConfiguration).Webhooks
		for i := range all {
			w := &all[i]
			setDefault(&w.FailurePolicy, admissionv1.Fail)
			setDefault(&w.MatchPolicy, admissionv1.Equivalent)
			setDefault(&w.NamespaceSelector, metav1.LabelSelector{}) // without one nothing matches
			setDefault(&w.ObjectSelector, metav1.LabelSelector{})
			setDefault(&w.TimeoutSeconds, 10)
			defaultRules(w.Rules, w.ClientConfig)
		}
	})
	scheme.AddTypeDefaultingFunc(&admissionv1.MutatingWebhookConfiguration{}, func(object any) {
		all := object.(*admissionv1.MutatingWebhookConfiguration).Webhooks
		for i := range all {
			w := &all[i]
			setDefault(&w.FailurePolicy, admissionv1.Fail)
			setDefault(&w.MatchPolicy, admissionv1.Equivalent)
			setDefault(&w.NamespaceSelector, metav1.LabelSelector{})
			setDefault(&w.ObjectSelector, metav1.LabelSelector{})
			setDefault(&w.TimeoutSeconds, 10)
			setDefault(&w.ReinvocationPolicy, admissionv1.NeverReinvocationPolicy)
			defaultRules(w.Rules, w.ClientConfig)
		}
	})
	scheme.AddTypeDefaultingFunc(&corev1.Service{}, func(object any) {
		if service := object.(*corev1.Service); service.Spec.Type == "" {
			service.Spec.Type = corev1.ServiceTypeClusterIP
		}
	})
	scheme.AddTypeDefaultingFunc(&corev1.Secret{}, func(object any) {
		if secret := object.(*corev1.Secret); secret.Type == "" {
			secret.Type = corev1.SecretTypeOpaque
		}
	})
}

func defaultRules(rules []admissionv1.RuleWithOperations, client admissionv1.WebhookClientConfig) {
	for i := range rules {
		setDefault(&rules[i].Scope, admissionv1.AllScopes)
	}
	if client.Service != nil {
		setDefault(&client.Service.Port, 443)
	}
}

func setDefault[T any](field **T, value T) {
	if *field == nil {
		*field = &value
	}
}
