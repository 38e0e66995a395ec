module {{name}}

go 1.24

require millstream/plugin v0.0.0

replace millstream/plugin => {{kit}}
