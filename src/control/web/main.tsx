/**
 * The dashboard's entry: everything is drawn into #app.
 */
import { render } from 'preact'
import 'uplot/dist/uPlot.min.css'
import { App } from './app.tsx'
import './style/base.css'
import './style/layout.css'
import './style/parts.css'
import './style/figures.css'
import './style/tables.css'
import './style/forms.css'

const root = document.getElementById('app')
if (root !== null) render(<App />, root)
