"""Linux devices below every datapath: namespaces, links, tc, host legs, twins, shadow devices."""
