"""Pictures of playbooks and runs: a model of boxes and lanes, drawn as SVG or Mermaid."""
