//! People, groups, rotas, systems and domains.
