package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apiserver/pkg/authentication/serviceaccount"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/apiserver/pkg/authorization/authorizerfactory"
	"k8s.io/apiserver/pkg/authorization/union"
	"k8s.io/client-go/informers"
	listers "k8s.io/client-go/listers/rbac/v1"
)

// roleBased decides by the stored roles and bindings. Debian has no source of upstream's RBAC, which is not
// one of its libraries; this follows pkg/apis/rbac/v1/evaluation_helpers.go of Kubernetes, without aggregated
// roles. Each refusal is a line on stderr, for tests: `denied USER VERB WHAT`.
type roleBased struct {
	roles           listers.RoleLister
	bindings        listers.RoleBindingLister
	clusterRoles    listers.ClusterRoleLister
	clusterBindings listers.ClusterRoleBindingLister
}

// discovery is what upstream's role system:discovery lets every known user read.
var discovery = rbacv1.PolicyRule{
	Verbs:           []string{"get"},
	NonResourceURLs: []string{"/api", "/api/*", "/apis", "/apis/*", "/healthz", "/livez", "/openapi", "/openapi/*", "/readyz", "/version"},
}

// newRoleBased returns the authorizer of --authorization-mode=RBAC: administrators may do everything.
func newRoleBased(factory informers.SharedInformerFactory) authorizer.Authorizer {
	rbac := factory.Rbac().V1()
	return union.New(
		authorizerfactory.NewPrivilegedGroups(user.SystemPrivilegedGroup),
		&roleBased{
			rbac.Roles().Lister(), rbac.RoleBindings().Lister(), rbac.ClusterRoles().Lister(), rbac.ClusterRoleBindings().Lister(),
		},
	)
}

func (r *roleBased) Authorize(_ context.Context, request authorizer.Attributes) (authorizer.Decision, string, error) {
	rules, err := r.rulesFor(request.GetUser(), request.GetNamespace())
	for _, rule := range rules {
		if allows(rule, request) {
			return authorizer.DecisionAllow, "", nil
		}
	}
	fmt.Fprintf(os.Stderr, "denied %s %s %s\n", request.GetUser().GetName(), request.GetVerb(), asked(request))
	return authorizer.DecisionNoOpinion, "", err
}

// rulesFor returns every rule that a user has in a namespace: "" is for what has none.
func (r *roleBased) rulesFor(who user.Info, namespace string) ([]rbacv1.PolicyRule, error) {
	var rules []rbacv1.PolicyRule
	if slices.Contains(who.GetGroups(), user.AllAuthenticated) {
		rules = append(rules, discovery)
	}
	everywhere, err := r.clusterBindings.List(labels.Everything())
	if err != nil {
		return nil, err
	}
	for _, binding := range everywhere {
		if slices.ContainsFunc(binding.Subjects, func(s rbacv1.Subject) bool { return is(who, s, "") }) {
			found, err := r.role(binding.RoleRef, "")
			if err != nil {
				return rules, err
			}
			rules = append(rules, found...)
		}
	}
	if namespace == "" {
		return rules, nil
	}
	within, err := r.bindings.RoleBindings(namespace).List(labels.Everything())
	if err != nil {
		return nil, err
	}
	for _, binding := range within {
		if slices.ContainsFunc(binding.Subjects, func(s rbacv1.Subject) bool { return is(who, s, namespace) }) {
			found, err := r.role(binding.RoleRef, namespace)
			if err != nil {
				return rules, err
			}
			rules = append(rules, found...)
		}
	}
	return rules, nil
}

// role returns the rules of a role; one that does not exist has none.
func (r *roleBased) role(ref rbacv1.RoleRef, namespace string) ([]rbacv1.PolicyRule, error) {
	if ref.Kind == "ClusterRole" {
		found, err := r.clusterRoles.Get(ref.Name)
		if err != nil {
			return nil, unlessMissing(err)
		}
		return found.Rules, nil
	}
	found, err := r.roles.Roles(namespace).Get(ref.Name)
	if err != nil {
		return nil, unlessMissing(err)
	}
	return found.Rules, nil
}

func unlessMissing(err error) error {
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}

// is tells whether a user is the subject of a binding in a namespace.
func is(who user.Info, subject rbacv1.Subject, namespace string) bool {
	switch subject.Kind {
	case rbacv1.UserKind:
		return who.GetName() == subject.Name
	case rbacv1.GroupKind:
		return slices.Contains(who.GetGroups(), subject.Name)
	case rbacv1.ServiceAccountKind:
		if subject.Namespace != "" {
			namespace = subject.Namespace
		}
		return namespace != "" && serviceaccount.MatchesUsername(namespace, subject.Name, who.GetName())
	}
	return false
}

func allows(rule rbacv1.PolicyRule, request authorizer.Attributes) bool {
	if !has(rule.Verbs, request.GetVerb()) {
		return false
	}
	if !request.IsResourceRequest() {
		return slices.ContainsFunc(rule.NonResourceURLs, func(url string) bool {
			prefix, open := strings.CutSuffix(url, "*")
			return url == request.GetPath() || open && strings.HasPrefix(request.GetPath(), prefix)
		})
	}
	named := len(rule.ResourceNames) == 0 || slices.Contains(rule.ResourceNames, request.GetName())
	return named && has(rule.APIGroups, request.GetAPIGroup()) && hasResource(rule, request)
}

func hasResource(rule rbacv1.PolicyRule, request authorizer.Attributes) bool {
	wanted := request.GetResource()
	if sub := request.GetSubresource(); sub != "" {
		if slices.Contains(rule.Resources, "*/"+sub) {
			return true
		}
		wanted += "/" + sub
	}
	return has(rule.Resources, wanted)
}

func has(list []string, wanted string) bool {
	return slices.Contains(list, "*") || slices.Contains(list, wanted)
}

// asked names what a request is about: GROUP/RESOURCE/SUBRESOURCE NAMESPACE/NAME, or a path.
func asked(request authorizer.Attributes) string {
	if !request.IsResourceRequest() {
		return request.GetPath()
	}
	what := strings.Trim(strings.Join([]string{request.GetAPIGroup(), request.GetResource(), request.GetSubresource()}, "/"), "/")
	return fmt.Sprintf("%s %s/%s", what, request.GetNamespace(), request.GetName())
}
